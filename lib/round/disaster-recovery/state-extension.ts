/**
 * Whether an archive's state goes on from what a machine has. An import must not forget anything: what was answered, opened,
 * spent, released or recorded here has to be in the archive too.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hex, sameBytes } from '../../custody/fields.js';
import type { Role } from '../../custody/keys/key-rows.js';
import type { KeyStore } from '../../custody/keys/key-store.js';
import { openLedger } from '../../custody/ledger.js';
import { openReleaseState } from '../../custody/release/release-state.js';
import { LEDGER_FILE } from '../../custody/role-directory.js';
import { openRosterPin } from '../../custody/roster-pin.js';
import { errorCode } from '../../durable/private-files.js';
import { RefusedError } from '../../errors.js';
import { keyIdOf } from '../../package/keys.js';
import { openPrivacyLedger } from '../../privacy/privacy-ledger.js';
import { PRIVACY_LEDGER_FILE } from '../round-privacy.js';
import { exportedState, RELEASE_STATE_FILE, ROSTER_PIN_FILE } from './exported-state.js';

/**
 * Checks that `staged`, restored from an archive, goes on from `local`, what the machine has.
 *
 * @param local open on copies of the machine's databases
 * @param localDirectory where the machine's other files are
 * @throws RefusedError `import.other-role`, `import.older-trail`, `import.older-ledger`, `import.older-records`,
 *   `import.diverged`
 */
export async function requireExtension(
  local: KeyStore,
  staged: KeyStore,
  localDirectory: string,
): Promise<void> {
  requireSameMember(local, staged);
  requireLongerTrail(local, staged);
  const [here, there] = [local.directory, staged.directory];
  if (await hasFile(here, LEDGER_FILE)) await requireLongerLedger(here, there);
  if (await hasFile(here, PRIVACY_LEDGER_FILE)) await requireSpent(here, there);
  if (await hasFile(here, RELEASE_STATE_FILE)) await requireTaken(local.fleet, here, there);
  if (await hasFile(here, ROSTER_PIN_FILE)) await requireNewerPin(here, there);
  await requireRecords(local.role, localDirectory, there);
}

function requireSameMember(local: KeyStore, staged: KeyStore): void {
  const same =
    local.role === staged.role &&
    local.id === staged.id &&
    local.fleet === staged.fleet &&
    sameBytes(keyIdOf(local.publicKeys), keyIdOf(staged.publicKeys));
  if (same) return;
  const name = ({ role, id, fleet, publicKeys }: KeyStore): string =>
    `${role} "${id}" of fleet "${fleet}" (key id ${hex(keyIdOf(publicKeys)).slice(0, 16)})`;
  throw new RefusedError(
    'import.other-role',
    `${local.directory} belongs to ${name(local)}, and the archive to ${name(staged)}. Name another directory.`,
  );
}

function requireLongerTrail(local: KeyStore, staged: KeyStore): void {
  const [localHead, stagedHead] = [local.auditHead(), staged.auditHead()];
  if (hasAuditHead(staged, localHead)) return;
  if (hasAuditHead(local, stagedHead)) {
    throw new RefusedError(
      'import.older-trail',
      `The archive's audit trail ends at entry ${stagedHead.sequence}; the one here has ${localHead.sequence}. The archive ` +
        'has forgotten what was done here since, and importing it would go back. Export from here, or keep what is here.',
    );
  }
  throw diverged('audit trail');
}

function hasAuditHead(
  store: KeyStore,
  head: { readonly sequence: number; readonly hash: Uint8Array },
): boolean {
  if (head.sequence === 0) return true;
  const entry = store.vault.trail.entries(head.sequence - 1)[0];
  return entry !== undefined && sameBytes(entry.hash, head.hash);
}

async function requireLongerLedger(here: string, there: string): Promise<void> {
  const local = await openLedger(join(here, LEDGER_FILE));
  try {
    const staged = await openLedger(join(there, LEDGER_FILE));
    try {
      if (staged.hasHead(local.head())) return;
      if (!local.hasHead(staged.head())) throw diverged('ledger');
      throw new RefusedError(
        'import.older-ledger',
        'The archive has an older ledger than this machine: it has forgotten what was answered here, and two answers for two ' +
          'sets that differ by one client give that client away. Keep what is here.',
      );
    } finally {
      staged.close();
    }
  } finally {
    local.close();
  }
}

async function requireSpent(here: string, there: string): Promise<void> {
  const [local, staged] = await Promise.all([spentPlans(here), spentPlans(there)]);
  // Both chains were verified: of two prefixes the plans say which is which.
  if (local.every((plan, i) => plan === staged[i])) return;
  if (staged.every((plan, i) => plan === local[i])) throw olderRecords('rounds in the privacy ledger');
  throw diverged('privacy ledger');
}

async function spentPlans(directory: string): Promise<string[]> {
  const ledger = await openPrivacyLedger(join(directory, PRIVACY_LEDGER_FILE));
  try {
    return ledger.entries().map(({ plan }) => hex(plan));
  } finally {
    ledger.close();
  }
}

async function requireTaken(fleet: string, here: string, there: string): Promise<void> {
  const local = await openReleaseState(here);
  try {
    const taken = local
      .policies(fleet)
      .flatMap((policy) => local.taken(fleet, policy).map(({ release }) => hex(release)));
    if (taken.length === 0) return;
    const restored = (await hasFile(there, RELEASE_STATE_FILE))
      ? await takenReleases(fleet, there)
      : new Set();
    if (!taken.every((release) => restored.has(release))) throw olderRecords('releases that were taken');
  } finally {
    local.close();
  }
}

async function takenReleases(fleet: string, directory: string): Promise<Set<string>> {
  const state = await openReleaseState(directory);
  try {
    const releases = state.policies(fleet).flatMap((policy) => state.taken(fleet, policy));
    return new Set(releases.map(({ release }) => hex(release)));
  } finally {
    state.close();
  }
}

async function requireNewerPin(here: string, there: string): Promise<void> {
  const [local, staged] = await Promise.all([pinIn(here), pinIn(there)]);
  if (local.owner !== undefined && local.owner !== staged.owner) throw diverged("roster's owner");
  if (local.roster === undefined) return;
  if (staged.roster === undefined || staged.roster.version < local.roster.version) {
    throw olderRecords('rosters that were accepted');
  }
  const sameVersion = local.roster.version === staged.roster.version;
  if (sameVersion && !sameBytes(local.roster.fingerprint, staged.roster.fingerprint)) {
    throw diverged('accepted roster');
  }
}

async function pinIn(directory: string) {
  const pin = await openRosterPin(directory);
  try {
    const owner = pin.owner();
    return { owner: owner && hex(owner), roster: pin.current() };
  } finally {
    pin.close();
  }
}

/** Every file that is written once here is in the archive, with the same bytes; of those that may change, the name is. */
async function requireRecords(role: Role, here: string, there: string): Promise<void> {
  const { records, folders } = exportedState(role);
  for (const folder of [...records, ...folders]) {
    for (const name of await recordsIn(join(here, folder))) {
      const kept = await readIfThere(join(there, folder, name));
      if (kept === undefined) throw olderRecords(`records: ${folder}/${name} is missing`);
      if (!records.includes(folder)) continue;
      const local = await readFile(join(here, folder, name));
      if (!sameBytes(local, kept)) throw diverged(`record ${folder}/${name}`);
    }
  }
}

async function recordsIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  });
  return names.filter((name) => !name.startsWith('.'));
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function hasFile(directory: string, name: string): Promise<boolean> {
  return (await recordsIn(directory)).includes(name);
}

function olderRecords(what: string): RefusedError {
  return new RefusedError(
    'import.older-records',
    `This machine knows more than the archive (${what}), and importing it would forget that. Keep what is here.`,
  );
}

function diverged(what: string): RefusedError {
  return new RefusedError(
    'import.diverged',
    `The archive does not go on from what is here: the ${what} is another one. Two machines have acted as this role since ` +
      'they had the same state. Keep both as evidence, find out which one was used, and give the role new keys.',
  );
}
