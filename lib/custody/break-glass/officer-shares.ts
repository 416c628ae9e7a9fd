/**
 * A role's recovery key, split among officers: any `threshold` of them recombine it, fewer know nothing about it.
 *
 * The key is an X-Wing seed, shared over GF(2^8) by `shamir-secret-sharing`, which looks its products up in two tables of
 * 256 bytes. An index that depends on a secret can be timed through the cache by whoever runs code on the same machine at
 * that moment; splitting happens once, at set-up, and recombining in an emergency, on a machine that then holds the seed
 * anyway. The library also leaves its coefficients, which determine the seed, to the garbage collector, and so do X-Wing's
 * expanded keys: wiping what is ours shortens exposure, no more. A process that combined shares should end soon after.
 */
import { combine, split } from 'shamir-secret-sharing';
import { z } from 'zod';
import { ParameterError, RefusedError, VerificationError } from '../../errors.js';
import { idSchema } from '../../package/messages/common.js';
import { generateKemKey, KEM_SEED_BYTES, type KemKey, kemPublicKey } from '../hpke.js';
import { SecretBytes } from '../secret-bytes.js';
import {
  areDistinct,
  MAX_OFFICERS,
  MIN_THRESHOLD,
  ownerShape,
  type RecoveryDescription,
  type RecoveryOfficer,
  type RecoveryOwner,
  type RecoveryTerms,
  recoveryTermsDigest,
  setIdOf,
} from './recovery-description.js';
import {
  type CheckedShare,
  commitmentHolds,
  equalInConstantTime,
  shareCommitment,
  shareTags,
} from './share-checks.js';

/** One byte of every share is its evaluation point. */
export const SHARE_BYTES = KEM_SEED_BYTES + 1;

/** One officer's share, and of what it is one. Printing it shows no secret. */
export interface OfficerShare extends RecoveryOwner {
  readonly setId: string;
  readonly officer: string;
  /** 33 bytes. */
  readonly share: SecretBytes;
}

export interface RecoveryRequest extends RecoveryOwner {
  /** Names of the officers: 2 to 20, each once. */
  readonly officers: readonly string[];
  /** How many of them it takes: 2 to their number. */
  readonly threshold: number;
}

const requestSchema = z
  .object({
    ...ownerShape,
    officers: z.array(idSchema).max(MAX_OFFICERS).refine(areDistinct, 'must name each officer once'),
    threshold: z.int().min(MIN_THRESHOLD),
  })
  .refine(({ officers, threshold }) => threshold <= officers.length, {
    path: ['threshold'],
    error: 'must not exceed the number of officers',
  });

/**
 * Makes a recovery key and splits it; the key itself is wiped before this returns. Each share belongs on a medium of its
 * officer and nowhere else.
 *
 * @returns the description, which is public, and a share for each officer in the order of `officers`
 * @throws ParameterError `break-glass.bad-recovery`
 */
export async function createRecovery(
  request: RecoveryRequest,
): Promise<{ recovery: RecoveryDescription; shares: OfficerShare[] }> {
  const { officers, threshold, ...owner } = parseRequest(request);
  const key = await generateKemKey();
  try {
    const setId = setIdOf(crypto.getRandomValues(new Uint8Array(16)));
    const terms = { ...owner, setId, threshold, kemPublicKey: key.publicKey };
    const shares = await splitSeed(key, officers.length, threshold);
    return {
      recovery: { ...terms, officers: describeOfficers(key.seed, terms, officers, shares) },
      shares: shares.map((share, i) => ({ ...owner, setId, officer: officers[i] as string, share })),
    };
  } finally {
    key.seed.wipe();
  }
}

/**
 * Recombines the recovery seed (32 bytes) from shares of at least `threshold` officers; all of them are used, so one that
 * does not belong is never passed over. The caller wipes the result.
 *
 * @throws RefusedError `break-glass.other-set`, `break-glass.unknown-officer`, `break-glass.same-officer`,
 *   `break-glass.too-few-shares`
 * @throws VerificationError `break-glass.corrupt-share`, naming every officer whose share does not fit, or
 *   `break-glass.wrong-key` where shares fit the description but not each other or the public key
 */
export async function combineShares(
  description: RecoveryDescription,
  shares: readonly OfficerShare[],
): Promise<SecretBytes> {
  const officers = shares.map((share) => officerOf(description, share));
  requireDistinct(shares);
  const checked = shares.map((share) => checkedShare(description, share));
  requireCommitments(officers, checked);
  requireEnough(description, shares);
  const seed = await recombine(shares);
  try {
    await requireRightKey(description, officers, checked, seed);
    return seed;
  } catch (error) {
    seed.wipe();
    throw error;
  }
}

/**
 * Whose share it is, shown by having it. The share is then known to this machine: as many proofs on a machine that somebody
 * else controls as the threshold give the recovery key away.
 *
 * @returns the officer's name
 * @throws RefusedError `break-glass.other-set`, `break-glass.unknown-officer`
 * @throws VerificationError `break-glass.corrupt-share`
 */
export function proveOfficer(description: RecoveryDescription, share: OfficerShare): string {
  const officer = officerOf(description, share);
  requireCommitments([officer], [checkedShare(description, share)]);
  return officer.name;
}

function parseRequest(request: RecoveryRequest): z.infer<typeof requestSchema> {
  const result = requestSchema.safeParse(request);
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => `${issue.path.join('.') || 'it'} ${issue.message}`);
  throw new ParameterError(
    'break-glass.bad-recovery',
    `No recovery key can be set up like this: ${faults.join('; ')}. Name 2 to ${MAX_OFFICERS} officers, each once, and a ` +
      'threshold from 2 to their number.',
  );
}

async function splitSeed({ seed }: KemKey, officers: number, threshold: number): Promise<SecretBytes[]> {
  const copy = copyOf(seed);
  try {
    return (await split(copy, officers, threshold)).map((share) => new SecretBytes(share));
  } finally {
    copy.fill(0);
  }
}

function describeOfficers(
  seed: SecretBytes,
  terms: RecoveryTerms,
  names: readonly string[],
  shares: readonly SecretBytes[],
): RecoveryOfficer[] {
  const digest = recoveryTermsDigest(terms, names);
  const checked = shares.map((share, i) => ({ terms: digest, officer: names[i] as string, share }));
  const tags = shareTags(seed, terms.setId, checked);
  return checked.map((share, i) => ({
    name: share.officer,
    commitment: shareCommitment(share),
    tag: tags[i] as Uint8Array,
  }));
}

function officerOf(description: RecoveryDescription, share: OfficerShare): RecoveryOfficer {
  for (const field of ['fleet', 'role', 'id', 'setId'] as const) {
    if (share[field] !== description[field]) {
      throw new RefusedError(
        'break-glass.other-set',
        `The share of officer "${share.officer}" is of ${share.role} "${share.id}" in fleet "${share.fleet}", recovery set ` +
          `${share.setId}; this is ${description.role} "${description.id}" in fleet "${description.fleet}", recovery set ` +
          `${description.setId}. Use the share of this set.`,
      );
    }
  }
  const officer = description.officers.find(({ name }) => name === share.officer);
  if (officer === undefined) {
    throw new RefusedError(
      'break-glass.unknown-officer',
      `"${share.officer}" is no officer of recovery set ${description.setId}. Its officers are: ` +
        `${description.officers.map(({ name }) => name).join(', ')}.`,
    );
  }
  return officer;
}

function requireDistinct(shares: readonly OfficerShare[]): void {
  const names = shares.map(({ officer }) => officer);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) {
    throw new RefusedError(
      'break-glass.same-officer',
      `The share of officer "${twice}" was given twice, and counts once. Give shares of different officers.`,
    );
  }
}

function checkedShare(description: RecoveryDescription, { officer, share }: OfficerShare): CheckedShare {
  const names = description.officers.map(({ name }) => name);
  return { terms: recoveryTermsDigest(description, names), officer, share };
}

function requireCommitments(officers: readonly RecoveryOfficer[], shares: readonly CheckedShare[]): void {
  const isSound = (officer: RecoveryOfficer, share: CheckedShare) =>
    share.share.sizeBytes === SHARE_BYTES && commitmentHolds(officer, share);
  const corrupt = officers.filter((officer, i) => !isSound(officer, shares[i] as CheckedShare));
  if (corrupt.length > 0) {
    throw new VerificationError(
      'break-glass.corrupt-share',
      `Shares that are not what their officers were given: ${corrupt.map(({ name }) => `"${name}"`).join(', ')}. Use ` +
        'other copies of them, or other officers. If no share at all fits, the description in the key store was changed: ' +
        'verify the audit trail.',
    );
  }
}

function requireEnough({ threshold }: RecoveryDescription, shares: readonly OfficerShare[]): void {
  if (shares.length < threshold) {
    throw new RefusedError(
      'break-glass.too-few-shares',
      `It takes the shares of ${threshold} officers, and ${shares.length} were given. Ask more officers for theirs.`,
    );
  }
}

async function recombine(shares: readonly OfficerShare[]): Promise<SecretBytes> {
  const copies = shares.map(({ share }) => copyOf(share));
  try {
    return new SecretBytes(await combine(copies));
  } catch {
    // The library refuses two shares at one point, which none that were dealt together have.
    throw wrongKey();
  } finally {
    for (const copy of copies) copy.fill(0);
  }
}

async function requireRightKey(
  description: RecoveryDescription,
  officers: readonly RecoveryOfficer[],
  shares: readonly CheckedShare[],
  seed: SecretBytes,
): Promise<void> {
  const isKey = equalInConstantTime(await seed.use(kemPublicKey), description.kemPublicKey);
  const tags = shareTags(seed, description.setId, shares);
  const areTagged = officers.every((officer, i) => equalInConstantTime(tags[i] as Uint8Array, officer.tag));
  if (!isKey || !areTagged) throw wrongKey();
}

function copyOf(secret: SecretBytes): Uint8Array {
  return secret.use((bytes) => Uint8Array.from(bytes));
}

function wrongKey(): VerificationError {
  return new VerificationError(
    'break-glass.wrong-key',
    'These shares fit the description in the key store, and do not recombine to its recovery key: the description was ' +
      'changed. Verify the audit trail, and restore the key store from an export.',
  );
}
