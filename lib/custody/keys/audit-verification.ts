/** Whether an audit trail is whole, and where it first is not. */
import { TensorGuardError, VerificationError } from '../../errors.js';
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

/** What the key table says, to be held against what the trail says. */
export interface ClaimedState {
  readonly name: string;
  readonly state: KeyState;
}

export interface AuditEvidence {
  readonly owner: AuditOwner;
  /** Oldest first. */
  readonly entries: readonly AuditEntry[];
  /** Of the role; the verifier says whose they are. */
  readonly keys: PublicKeys;
  readonly states: readonly ClaimedState[];
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

/** Checks a whole trail: numbering, hashes, signatures, exported heads, and the states that it leaves keys in. */
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
  return verdict(badState(evidence));
}

/** @throws VerificationError `audit.bad-entry` */
export function requireWhole(verdict: AuditVerdict): void {
  if (verdict.bad === undefined) return;
  throw new VerificationError(
    'audit.bad-entry',
    `The audit trail is not whole: entry ${verdict.bad.sequence}: ${verdict.bad.reason}. Keep the directory as evidence.`,
  );
}
