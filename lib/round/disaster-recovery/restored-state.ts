/** Making a restored directory safe to act by, before it is anybody's. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClientMemory, createRestoredClientState } from '../../custody/client-state.js';
import { hex } from '../../custody/fields.js';
import { requireWhole } from '../../custody/keys/audit-verification.js';
import { corrupt } from '../../custody/keys/key-rows.js';
import type { KeyStore } from '../../custody/keys/key-store.js';
import { openLedger } from '../../custody/ledger.js';
import { openReleaseState } from '../../custody/release/release-state.js';
import { LEDGER_FILE, ROSTER_FILE } from '../../custody/role-directory.js';
import { openRosterPin, pinnedOwner } from '../../custody/roster-pin.js';
import { errorCode } from '../../durable/private-files.js';
import { FormatError } from '../../errors.js';
import { replaceFile } from '../../files.js';
import { openContainer } from '../../package/reader.js';
import { openPrivacyLedger } from '../../privacy/privacy-ledger.js';
import { ENROLMENT_FILE, requestEnrolment } from '../enrolment/requests.js';
import { openResiduals } from '../residuals.js';
import { PRIVACY_LEDGER_FILE } from '../round-privacy.js';
import { type ArchiveDescription, decodeClientMemory, decodeDescription } from './archive-documents.js';
import {
  CLIENT_MEMORY_FILE,
  DESCRIPTION_FILE,
  isStateOf,
  KEYS_FOLDER,
  RELEASE_STATE_FILE,
  ROSTER_PIN_FILE,
} from './exported-state.js';

export interface RestoredFiles {
  readonly description: ArchiveDescription;
  /** Of a client. */
  readonly memory: ClientMemory | undefined;
}

/**
 * Reads what an archive says about itself, and removes it from the restored directory.
 *
 * @throws FormatError `archive.malformed` where files are of another role, or one is missing
 */
export async function takeDocuments(directory: string, paths: readonly string[]): Promise<RestoredFiles> {
  if (!paths.includes(DESCRIPTION_FILE)) throw notWhole(`${DESCRIPTION_FILE} is missing`);
  const description = decodeDescription(await readFile(join(directory, DESCRIPTION_FILE)));
  const own = (path: string): boolean =>
    path === DESCRIPTION_FILE ||
    path === CLIENT_MEMORY_FILE ||
    path.startsWith(`${KEYS_FOLDER}/`) ||
    isStateOf(description.role, path);
  const foreign = paths.find((path) => !own(path));
  if (foreign !== undefined) throw notWhole(`${foreign} is nothing that a ${description.role} has`);
  const needed = { client: [CLIENT_MEMORY_FILE, PRIVACY_LEDGER_FILE], custodian: [LEDGER_FILE] };
  for (const path of description.role in needed ? needed[description.role as keyof typeof needed] : []) {
    if (!paths.includes(path)) throw notWhole(`${path} is missing`);
  }
  const memory = paths.includes(CLIENT_MEMORY_FILE)
    ? decodeClientMemory(await readFile(join(directory, CLIENT_MEMORY_FILE)))
    : undefined;
  await rm(join(directory, DESCRIPTION_FILE));
  await rm(join(directory, CLIENT_MEMORY_FILE), { force: true });
  return { description, memory };
}

/**
 * Verifies everything that was restored: trail, chains, pages of every database, and that each key's file is there.
 *
 * @throws VerificationError `audit.bad-entry`, `key.store-corrupt`, `ledger.corrupt`, `privacy.ledger-corrupt`, ...
 */
export async function verifyRestored(
  store: KeyStore,
  description: ArchiveDescription,
  paths: readonly string[],
): Promise<void> {
  const { directory, role, id, fleet } = store;
  if (role !== description.role || id !== description.id || fleet !== description.fleet) {
    throw notWhole('its key store is of another role than it says');
  }
  requireWhole(await store.verifyAudit());
  await requireExportEntry(store, description.archive);
  for (const row of store.vault.rows()) {
    if (role === 'custodian' && row.purpose === 'kem') continue;
    for (const file of [row.secret_file, row.recovery_file]) {
      if (file === null) continue;
      if (!paths.includes(`${KEYS_FOLDER}/${file}`))
        throw corrupt(`the file of key "${row.name}" is missing`);
      store.vault.files.read(file);
    }
  }
  for (const path of paths) await verifyDatabase(directory, path);
}

/**
 * The trail in an archive ends with its export, and what that says of the ledger is so: the archive was not put together from
 * parts of several.
 */
async function requireExportEntry({ vault, directory, role }: KeyStore, archive: string): Promise<void> {
  const last = vault.trail.entries(vault.trail.head().sequence - 1)[0];
  if (last?.kind !== 'export' || last.detail['archive'] !== archive) {
    throw notWhole('its audit trail does not end with its export');
  }
  if (role !== 'custodian') return;
  const { ledgerHead } = last.detail;
  const ledger = await openLedger(join(directory, LEDGER_FILE));
  try {
    if (typeof ledgerHead === 'string' && ledger.hasHead(new Uint8Array(Buffer.from(ledgerHead, 'hex'))))
      return;
    throw notWhole('its ledger does not have what was there when it was exported');
  } finally {
    ledger.close();
  }
}

async function verifyDatabase(directory: string, path: string): Promise<void> {
  const open = {
    [LEDGER_FILE]: () => openLedger(join(directory, path)),
    [PRIVACY_LEDGER_FILE]: () => openPrivacyLedger(join(directory, path)),
    [RELEASE_STATE_FILE]: () => openReleaseState(directory),
    [ROSTER_PIN_FILE]: () => openRosterPin(directory),
  }[path];
  if (open !== undefined) (await open()).close();
}

export interface RestoredRole {
  /** Of a custodian: the epoch of its new KEM key, the first that it answers for. */
  readonly epoch: number | undefined;
}

/**
 * Records the import, and takes from the restored state what must not be used again: a custodian destroys the KEM keys of
 * every epoch, makes the next epoch's, and asks to be enrolled with that one; a client begins a state that remembers.
 *
 * @param memories of the client: the archive's, and the machine's own
 * @param minEpoch the least epoch of the custodian's new key: where the fleet has moved on since the archive was written
 */
export async function adopt(
  store: KeyStore,
  { archive, exportedAtMs }: ArchiveDescription,
  memories: readonly ClientMemory[],
  minEpoch: number,
): Promise<RestoredRole> {
  const { directory, role } = store;
  const ledgerHead = role === 'custodian' ? await ledgerHeadIn(directory) : undefined;
  await store.record('import', {
    archive,
    exportedAtMs,
    ...(ledgerHead !== undefined && { ledgerHead: hex(ledgerHead) }),
  });
  if (role === 'client') {
    (await createRestoredClientState(directory, memories)).close();
    await openResiduals(directory);
  }
  if (ledgerHead === undefined) return { epoch: undefined };
  const epoch = Math.max(minEpoch, store.epochFloor, (await newestEpoch(store)) + 1);
  for (const { name, purpose, state } of store.keys()) {
    if (purpose === 'kem' && state !== 'destroyed') await store.destroy(name, `import of archive ${archive}`);
  }
  await store.raiseEpochFloor(epoch, `import of archive ${archive}`);
  await store.createKem(epoch, 'pre-activation');
  await writeEnrolment(store, ledgerHead);
  return { epoch };
}

/** Of its own keys, and of any custodian in the newest roster that it has. */
async function newestEpoch(store: KeyStore): Promise<number> {
  const own = store.newestKem()?.epoch ?? 0;
  const container = await openContainer(join(store.directory, ROSTER_FILE), 'roster').catch(
    (error: unknown) => {
      if (errorCode(error) === 'container.unreadable') return undefined;
      throw error;
    },
  );
  if (container === undefined) return own;
  try {
    return Math.max(own, ...container.body.custodians.map(({ epoch }) => epoch));
  } finally {
    await container.close();
  }
}

async function writeEnrolment(store: KeyStore, ledgerHead: Uint8Array): Promise<void> {
  const { directory } = store;
  const ownerKeyId = await pinnedOwner(directory);
  const enrolment = await requestEnrolment(store, { ownerKeyId, ledgerHead, restored: true });
  await replaceFile(join(directory, ENROLMENT_FILE), enrolment, { mode: 0o600 });
}

async function ledgerHeadIn(directory: string): Promise<Uint8Array> {
  const ledger = await openLedger(join(directory, LEDGER_FILE));
  try {
    return ledger.head();
  } finally {
    ledger.close();
  }
}

function notWhole(why: string): FormatError {
  return new FormatError('archive.malformed', `This archive cannot be imported: ${why}. Use another one.`);
}
