/**
 * The owner signs the next roster. There must never be two of one version, whatever is interrupted when: the signed bytes are
 * kept, under a name that is created once, before anyone sees them, and whoever comes later takes those.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readTrustedRoster, requireOwnKey, type TrustedRoster } from '../../custody/roster.js';
import { acceptRoster, archivedRosterPath, ROSTER_FILE } from '../../custody/roster-archive.js';
import { openRosterPin } from '../../custody/roster-pin.js';
import { errorCode } from '../../durable/private-files.js';
import { RefusedError } from '../../errors.js';
import { encodeCbor } from '../../package/cbor-encoding.js';
import type { RosterBody } from '../../package/messages/roster.js';
import { openContainer } from '../../package/reader.js';
import type { SigningKey } from '../../package/signing-key.js';
import { containerBytes, encodeContainer } from '../../package/writer.js';
import { RoundRecords } from '../round-records.js';
import { requireOwnKemKeys, storeEnrolment } from './enrolment-files.js';
import { sameKeys } from './membership.js';
import { type Enrolment, readEnrolment } from './requests.js';
import { evolveRoster, type RosterChanges } from './roster-evolution.js';

export interface AskedChanges extends Omit<RosterChanges, 'enrol'> {
  /** Files (`.tge`), or their bytes. */
  readonly enrol?: readonly { readonly file: string | Uint8Array; readonly replace?: boolean }[];
}

export interface IssueOptions {
  readonly ownerDirectory: string;
  /** The owner's. */
  readonly signing: SigningKey;
  /** Nothing at all: finish what was interrupted, or give the current roster. */
  readonly changes: AskedChanges;
  /** Called before a new roster is kept: where the audit trail records it. */
  readonly accepting?: (roster: TrustedRoster) => Promise<void>;
}

export interface IssuedRoster {
  readonly body: RosterBody;
  /** The file. */
  readonly bytes: Uint8Array;
  readonly fingerprint: Uint8Array;
  /** False where everything that was asked for is so already: this is the roster that is in force. */
  readonly changed: boolean;
  /** What was enrolled, or was enrolled already. */
  readonly enrolled: readonly Enrolment[];
}

/**
 * Issues the roster with `changes`. Interrupted and run again with the same changes it gives the same roster, or goes on where
 * it was.
 *
 * @throws RefusedError `roster.pending-change` where another change was signed and not finished; as {@link evolveRoster} and
 *   {@link readEnrolment} do
 */
export async function issueRoster(options: IssueOptions): Promise<IssuedRoster> {
  const { ownerDirectory, signing, changes, accepting } = options;
  const current = await currentRoster(ownerDirectory, signing);
  const { body } = current.roster;
  const asked = await readChanges(changes, current.roster);
  const enrolled = asked.map(({ read }) => read);
  const next = evolveRoster(body, {
    ...changes,
    enrol: asked.map(({ read, replace }) => ({ enrolment: read.body, replace })),
  });
  const pending = await pendingRoster(ownerDirectory, next.version, signing);
  const unchanged = sameBody({ ...next, version: body.version }, body);
  const finishing = pending !== undefined && nothingAsked(changes);
  if (pending !== undefined && !finishing && !sameBody(pending.body, next)) throw pendingChange(next.version);
  await requireOwnKemKeys(
    ownerDirectory,
    asked.map(({ read, replace }) => ({ enrolment: read.body, replace })),
  );
  // First: a roster must not list a client that no release could be sealed to.
  for (const enrolment of enrolled) await storeEnrolment(ownerDirectory, enrolment);
  if (unchanged && pending === undefined) {
    const { fingerprint } = current.roster;
    return { body, bytes: current.bytes, fingerprint, changed: false, enrolled };
  }
  await recordNewLedgers(ownerDirectory, body, enrolled);
  const bytes = pending?.bytes ?? (await sign(next, signing));
  const accepted = await acceptRoster(ownerDirectory, bytes, { ...(accepting && { accepting }) }).catch(
    (error: unknown) => {
      // Another process was first; what this one signed has not left it.
      throw errorCode(error) === 'roster.equivocation' ? pendingChange(next.version) : error;
    },
  );
  return { body: accepted.body, bytes, fingerprint: accepted.fingerprint, changed: true, enrolled };
}

/**
 * A custodian with other keys, or one that was restored, goes on from another ledger than the one that the owner saw: the next
 * plan must not name that one's head, or the custodian would take itself for rolled back.
 */
async function recordNewLedgers(
  ownerDirectory: string,
  { custodians }: RosterBody,
  enrolled: readonly Enrolment[],
): Promise<void> {
  const records = new RoundRecords(ownerDirectory);
  for (const { body } of enrolled) {
    if (body.role !== 'custodian' || body.ledgerHead === undefined) continue;
    const listed = custodians.find(({ id }) => id === body.id);
    if (listed !== undefined && body.restored !== true && sameKeys(listed.keys, body.keys)) continue;
    await records.recordLedgerStart({ custodian: body.id, head: body.ledgerHead, atMs: Date.now() });
  }
}

async function currentRoster(directory: string, signing: SigningKey) {
  const bytes = new Uint8Array(await readFile(join(directory, ROSTER_FILE)));
  const pin = await openRosterPin(directory);
  try {
    const roster = await readTrustedRoster(bytes, pin);
    requireOwnKey(roster.body.owner.keys, signing.publicKeys, 'the owner');
    return { roster, bytes };
  } finally {
    pin.close();
  }
}

async function readChanges(changes: AskedChanges, { body, ownerKeyId }: TrustedRoster) {
  const asked: { readonly read: Enrolment; readonly replace: boolean }[] = [];
  for (const { file, replace = false } of changes.enrol ?? []) {
    asked.push({ read: await readEnrolment(file, body.fleet, ownerKeyId), replace });
  }
  return asked;
}

/** A roster that was signed and kept, and is not in force yet. */
async function pendingRoster(directory: string, version: number, signing: SigningKey) {
  const bytes = await readFile(archivedRosterPath(directory, version)).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (bytes === undefined) return undefined;
  const container = await openContainer(bytes, 'roster');
  try {
    await container.verify(signing.publicKeys, container.body.signatureAlgorithms);
    return { body: container.body, bytes: new Uint8Array(bytes) };
  } finally {
    await container.close();
  }
}

async function sign(body: RosterBody, signer: SigningKey): Promise<Uint8Array> {
  return containerBytes(await encodeContainer({ kind: 'roster', body, sections: [], signer }));
}

function sameBody(a: RosterBody, b: RosterBody): boolean {
  return Buffer.compare(encodeCbor(a), encodeCbor(b)) === 0;
}

function nothingAsked({
  enrol,
  status,
  withdrawGateways,
  oldestOpenEpoch,
  threshold,
  ownerKem,
}: AskedChanges): boolean {
  const lists = [...(enrol ?? []), ...(status ?? []), ...(withdrawGateways ?? [])];
  const single = [oldestOpenEpoch, threshold, ownerKem];
  return lists.length === 0 && single.every((change) => change === undefined);
}

function pendingChange(version: number): RefusedError {
  return new RefusedError(
    'roster.pending-change',
    `Another change was signed as roster version ${version} and is not finished; there must not be two of one version. ` +
      'Finish that one first: "fleet enroll" without a file does. Then ask for this change again.',
  );
}
