/** A round plan that was checked against the roster: nobody acts on any other. */
import { ParameterError, RefusedError } from '../errors.js';
import { type PlanArithmetic, type PlanRequest, type PlanSegment, planArithmetic } from '../lwe/plan.js';
import { chunkCount } from '../package/digests.js';
import type { PlanBody, PlanPrivacy } from '../package/messages/plan.js';
import { openContainer } from '../package/reader.js';
import { requireSameFleet, type TrustedRoster } from './roster.js';
import { sharesSectionBytes } from './sharing.js';

export interface TrustedPlan {
  readonly body: PlanBody;
  readonly fingerprint: Uint8Array;
  readonly arithmetic: PlanArithmetic;
  readonly roster: TrustedRoster;
}

/**
 * Reads a plan, verifies the coordinator's signature, and refuses whatever the roster does not allow.
 *
 * @throws VerificationError `container.*`
 * @throws RefusedError `plan.*`
 */
export async function readTrustedPlan(
  from: string | Uint8Array,
  roster: TrustedRoster,
): Promise<TrustedPlan> {
  const container = await openContainer(from, 'plan');
  try {
    requireSameFleet(roster, container.body.fleet, 'plan');
    // Named before the signature: with another roster the coordinator's key may be another one too.
    requireRoster(container.body, roster);
    await container.verify(roster.body.coordinator.keys, roster.body.signatureAlgorithms);
    const arithmetic = checkPlan(container.body, roster);
    return { body: container.body, fingerprint: container.fingerprint, arithmetic, roster };
  } finally {
    await container.close();
  }
}

function refuse(code: string, message: string): never {
  throw new RefusedError(code, message);
}

function requireRoster(plan: PlanBody, roster: TrustedRoster): void {
  const held = roster.body.version;
  if (plan.rosterVersion < held) {
    refuse(
      'plan.older-roster',
      `The plan was made under roster version ${plan.rosterVersion}; version ${held} is in force. Plan the round again.`,
    );
  }
  if (plan.rosterVersion > held) {
    refuse(
      'plan.newer-roster',
      `The plan was made under roster version ${plan.rosterVersion}; this machine has version ${held}. Fetch the new roster.`,
    );
  }
  if (Buffer.compare(plan.rosterFingerprint, roster.fingerprint) !== 0) {
    refuse(
      'plan.other-roster',
      `The plan names another roster of version ${held} than the one on this machine. Show both to the owner.`,
    );
  }
}

/** @throws RefusedError `plan.wrong-arithmetic` where no numbers would do for what the plan asks for */
function arithmeticOf(plan: PlanBody): PlanArithmetic {
  try {
    return planArithmetic(arithmeticRequest(plan));
  } catch (cause) {
    if (!(cause instanceof ParameterError)) throw cause;
    throw new RefusedError('plan.wrong-arithmetic', `The plan cannot be carried out: ${cause.message}`, {
      cause,
    });
  }
}

/** Header and signatures without what follows: two kilobytes or so, and ML-DSA-65's 3309 bytes. */
const HEADER_BYTES = 12 * 1024;
const BYTES_A_MODULE = 3;
/** Of each mebibyte of a section: SHA-256 and the two bytes that CBOR puts before it. */
const BYTES_A_DIGEST = 34;

/**
 * Room for an update's header, which names the modules that are sent and holds the digests of its sections.
 *
 * @param sectionBytes lengths of ciphertext and sealed shares
 */
export function headerAllowanceBytes(
  tensors: readonly { readonly name: string }[],
  sectionBytes: readonly number[],
): number {
  const modules = tensors.reduce((sum, { name }) => sum + name.length + BYTES_A_MODULE, 0);
  const digests = sectionBytes.reduce((sum, length) => sum + chunkCount(length), 0);
  return HEADER_BYTES + modules + digests * BYTES_A_DIGEST;
}

/** What the arithmetic of a plan follows from. */
export function arithmeticRequest(plan: PlanBody): PlanRequest {
  return {
    parameterSet: plan.parameterSet,
    maxClients: plan.lwe.maxClients,
    ...(plan.privacy !== undefined && { noiseVariance: plan.privacy.clientVariance }),
    segments: plan.lwe.segments.map(({ bits, valueCount, fold }) => ({ bits, valueCount, fold })),
  };
}

/**
 * The standard deviation of the noise that is certain to be in the sum, over the sensitivity: what remains when the quorum
 * is just met and the colluders add none.
 */
export function effectiveNoiseMultiplier(privacy: PlanPrivacy, quorum: number): number {
  return Math.sqrt(((quorum - privacy.colluders) * privacy.clientVariance) / privacy.l2Squared);
}

/**
 * Everything a plan is held against, and the arithmetic that its numbers must agree with.
 *
 * @throws RefusedError `plan.outside-roster`, `plan.wrong-arithmetic`, `plan.too-large`, `plan.noise-below-floor`
 */
export function checkPlan(plan: PlanBody, roster: TrustedRoster): PlanArithmetic {
  const rules = roster.body;
  const outside = (what: string): never =>
    refuse('plan.outside-roster', `The plan is outside the roster (version ${rules.version}): ${what}.`);
  if (!rules.parameterSets.includes(plan.parameterSet)) {
    outside(`parameter set ${plan.parameterSet} is not permitted, only ${rules.parameterSets.join(', ')}`);
  }
  if (plan.quorum < rules.quorumFloor) {
    outside(`quorum ${plan.quorum} is below the floor of ${rules.quorumFloor}`);
  }
  if (plan.threshold !== rules.threshold || plan.custodians !== rules.custodians.length) {
    outside(
      `custody is ${plan.threshold} of ${plan.custodians}, not ${rules.threshold} of ${rules.custodians.length}`,
    );
  }
  const otherEpoch = rules.custodians.find((custodian) => custodian.epoch !== plan.keyEpoch);
  if (otherEpoch !== undefined) {
    outside(
      `key epoch ${plan.keyEpoch} is not the live one of custodian "${otherEpoch.id}" (${otherEpoch.epoch})`,
    );
  }
  const multiplier = plan.privacy === undefined ? 0 : effectiveNoiseMultiplier(plan.privacy, plan.quorum);
  if (multiplier < rules.noiseFloor) {
    refuse(
      'plan.noise-below-floor',
      `The roster demands a noise multiplier of at least ${rules.noiseFloor}; the plan's noise comes to ` +
        `${multiplier.toPrecision(4)}. Plan with more noise.`,
    );
  }
  const arithmetic = arithmeticOf(plan);
  for (const [i, segment] of plan.lwe.segments.entries()) {
    for (const name of ['fieldBits', 'fold', 'plaintextBits', 'wireBits', 'ringElements'] as const) {
      const expected = (arithmetic.segments[i] as PlanSegment)[name];
      if (expected !== segment[name]) {
        refuse(
          'plan.wrong-arithmetic',
          `The plan says ${name} = ${segment[name]} for ${segment.bits} bits; the arithmetic gives ${expected}. Decoding ` +
            'would fail or leak; ask the coordinator for a plan made by this version.',
        );
      }
    }
  }
  const sections = [arithmetic.ciphertextBytes, sharesSectionBytes(plan)];
  const sealedBytes = sections.reduce((a, b) => a + b) + headerAllowanceBytes(plan.tensors, sections);
  if (sealedBytes > rules.maxUpdateBytes) {
    refuse(
      'plan.too-large',
      `An update would have up to ${sealedBytes} bytes; the roster's ceiling is ${rules.maxUpdateBytes}. Use fewer bits or ` +
        'fewer values, or have the owner raise the ceiling.',
    );
  }
  return arithmetic;
}
