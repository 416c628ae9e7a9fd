/** Whether an audit trail is whole, and where it first is not. */
import { TensorGuardError, VerificationError } from '../../errors.js';
import { sha256 } from '../../package/digests.js';
import type { PublicKeys, SignatureAlgorithm } from '../../package/keys.js';
import { keyIdOf } from '../../package/keys.js';
import { decodeSignatureBlock, verifySignatures } from '../../package/signatures.js';
import { hex, sameBytes } from '../fields.js';
import { type AuditEntry, type AuditKind, entryHash, entryPayload, genesis } from './audit-entry.js';
import { type AuditOwner, headPayload, type SignedHead } from './audit-trail.js';
import type { KeyState } from './key-states.js';

export interface BadEntry {
  /** Of the first entry that is not what it should be; one past the last where entries are missing at the end. */
  readonly sequence: number;
  readonly reason: string;
}

export interface AuditVerdict {
  readonly entries: number;
  readonly head: Uint8Array;
  readonly bad?: BadEntry;
}

/** What the key table says, to be held against what the trail says: somebody may have changed that alone. */
export interface ClaimedState {
  readonly name: string;
  readonly state: KeyState;
  /** Of a KEM key. */
  readonly publicKey: Uint8Array | undefined;
}

export interface AuditEvidence {
  readonly owner: AuditOwner;
  /** Oldest first. */
  readonly entries: readonly AuditEntry[];
  /** Whether a row follows them that is no entry. */
  readonly malformed: boolean;
  /** Of the role; the verifier says whose they are. */
  readonly keys: PublicKeys;
  readonly states: readonly ClaimedState[];
  /** Entries of the uses of break-glass that the store has open, ascending. */
  readonly openUses: readonly number[];
  readonly epochFloor: number;
  /** Exported earlier; each proves that the trail reached so far, with that hash. */
  readonly heads: readonly SignedHead[];
}

const STATE_AFTER: Partial<Record<AuditKind, KeyState>> = {
  activate: 'active',
  suspend: 'suspended',
  deactivate: 'deactivated',
  compromise: 'compromised',
  'break-glass': 'compromised',
  destroy: 'destroyed',
};

function algorithmsOf(keys: PublicKeys): SignatureAlgorithm[] {
  return keys['ml-dsa-65'] === undefined ? ['ed25519'] : ['ed25519', 'ml-dsa-65'];
}

async function isSigned(
  kind: string,
  payload: Uint8Array,
  signatures: Uint8Array,
  keys: PublicKeys,
): Promise<boolean> {
  const algs = algorithmsOf(keys);
  try {
    const block = decodeSignatureBlock(signatures);
    await verifySignatures({ kind, headerBytes: payload, algs, signer: keyIdOf(keys) }, block, keys, algs);
    return true;
  } catch (error) {
    if (error instanceof TensorGuardError) return false;
    throw error;
  }
}

/** Whether an entry is what it was signed as, after the entry that `before` is the hash of. */
export async function isSignedEntry(
  before: Uint8Array,
  entry: AuditEntry,
  keys: PublicKeys,
): Promise<boolean> {
  return (
    sameBytes(entryHash(before, entry), entry.hash) &&
    (await isSigned('audit-entry', entryPayload(entry), entry.signatures, keys))
  );
}

async function firstBadEntry({
  owner,
  entries,
  malformed,
  keys,
}: AuditEvidence): Promise<BadEntry | { head: Uint8Array }> {
  let head = genesis(owner);
  for (const [i, entry] of entries.entries()) {
    const bad = (reason: string): BadEntry => ({ sequence: i + 1, reason });
    if (entry.sequence !== i + 1) return bad('it is missing: entries were deleted or moved');
    if (!sameBytes(entryHash(head, entry), entry.hash)) {
      return bad(
        'its hash is not that of its content after the entry before it: one of them was changed or moved',
      );
    }
    if (!(await isSigned('audit-entry', entryPayload(entry), entry.signatures, keys))) {
      return bad("its signature is not that of this role's key");
    }
    head = entry.hash;
  }
  if (malformed) return { sequence: entries.length + 1, reason: 'it is no entry: its row was changed' };
  return { head };
}

async function badHead(evidence: AuditEvidence, signed: SignedHead): Promise<BadEntry | undefined> {
  const { owner, entries, keys } = evidence;
  const { sequence, hash, signatures } = signed;
  const bad = (reason: string): BadEntry => ({
    sequence: Math.min(sequence, entries.length + 1),
    reason: `the head that was exported at ${new Date(signed.timeMs).toISOString()} ${reason}`,
  });
  for (const field of ['fleet', 'role', 'id'] as const) {
    if (signed[field] !== owner[field]) return bad(`is of another ${field}: "${signed[field]}"`);
  }
  const block = new Uint8Array(Buffer.from(signatures, 'base64'));
  if (!(await isSigned('audit-head', headPayload(signed), block, keys))) {
    return bad("has a signature that is not this role's");
  }
  if (sequence > entries.length) {
    return bad(`has ${sequence} entries; the trail has ${entries.length}: its end was cut off`);
  }
  const there = sequence === 0 ? hex(genesis(owner)) : hex((entries[sequence - 1] as AuditEntry).hash);
  return there === hash ? undefined : bad('has another hash: the trail was rewritten');
}

/** The states that the trail leaves keys in, held against the key table: somebody may have changed that alone. */
function badState({ entries, states }: AuditEvidence): BadEntry | undefined {
  const recorded = new Map<string, { state: string; sequence: number }>();
  for (const { kind, key, detail, sequence } of entries) {
    if (key === undefined) continue;
    const state = kind === 'create' ? detail.state : STATE_AFTER[kind];
    if (state !== undefined) recorded.set(key, { state: String(state), sequence });
  }
  for (const { name, state } of states) {
    const last = recorded.get(name);
    if (last?.state !== state) {
      return {
        sequence: last?.sequence ?? entries.length + 1,
        reason: `the trail leaves key "${name}" ${last?.state ?? 'unmentioned'}, and the store has it ${state}: the store was changed`,
      };
    }
    recorded.delete(name);
  }
  for (const [name, { sequence, state }] of recorded) {
    return { sequence, reason: `the trail leaves key "${name}" ${state}, and the store does not have it` };
  }
  return undefined;
}

/** Nobody seals to a key that somebody put in the place of the one that was made here. */
function badPublicKey({ entries, states }: AuditEvidence): BadEntry | undefined {
  const made = new Map(entries.filter(({ kind }) => kind === 'create').map((entry) => [entry.key, entry]));
  for (const { name, publicKey } of states) {
    const creation = made.get(name);
    if (publicKey === undefined || creation?.detail['publicKey'] === hex(sha256(publicKey))) continue;
    return {
      sequence: creation?.sequence ?? entries.length + 1,
      reason: `the store has another public key for "${name}" than the one that was made: the store was changed`,
    };
  }
  return undefined;
}

/** A use that is not shown any more without an officer having closed it, or a floor that was lowered. */
function badClaim({ entries, openUses, epochFloor }: AuditEvidence): BadEntry | undefined {
  const closed = new Set(
    entries.filter(({ kind }) => kind === 'break-glass-close').map(({ detail }) => detail['use']),
  );
  const open = entries.filter(({ kind, sequence }) => kind === 'break-glass' && !closed.has(sequence));
  const sequence =
    open.find((entry) => !openUses.includes(entry.sequence))?.sequence ??
    openUses.find((use) => !open.some((entry) => entry.sequence === use));
  if (sequence !== undefined) {
    const reason = 'the trail and the store disagree about whether this use of break-glass is closed';
    return { sequence, reason: `${reason}: the store was changed` };
  }
  const floors = entries.flatMap(({ kind, detail, ...entry }) =>
    kind === 'import' && typeof detail['epochFloor'] === 'number'
      ? [{ floor: detail['epochFloor'], sequence: entry.sequence }]
      : [],
  );
  const highest = floors.reduce((a, b) => (b.floor > a.floor ? b : a), { floor: 0, sequence: 0 });
  if (highest.floor === epochFloor) return undefined;
  return {
    sequence: highest.sequence || entries.length + 1,
    reason: `the trail leaves the epoch floor at ${highest.floor}, and the store has ${epochFloor}: the store was changed`,
  };
}

/**
 * Checks a whole trail: numbering, hashes, signatures, exported heads, and what the store says of keys, uses of break-glass and
 * the epoch floor.
 */
export async function verifyAudit(evidence: AuditEvidence): Promise<AuditVerdict> {
  const { entries } = evidence;
  const chain = await firstBadEntry(evidence);
  const head = entries.at(-1)?.hash ?? genesis(evidence.owner);
  const verdict = (bad?: BadEntry): AuditVerdict => ({
    entries: entries.length,
    head,
    ...(bad !== undefined && { bad }),
  });
  if ('reason' in chain) return verdict(chain);
  for (const signed of evidence.heads) {
    const bad = await badHead(evidence, signed);
    if (bad !== undefined) return verdict(bad);
  }
  return verdict(badState(evidence) ?? badPublicKey(evidence) ?? badClaim(evidence));
}

/** @throws VerificationError `audit.bad-entry` */
export function requireWhole(verdict: AuditVerdict): void {
  if (verdict.bad === undefined) return;
  throw new VerificationError(
    'audit.bad-entry',
    `The audit trail is not whole: entry ${verdict.bad.sequence}: ${verdict.bad.reason}. Keep the directory as evidence.`,
  );
}
