/** The noise of a round, as its plan has it. */
import type { TrustedPlan } from '../custody/trusted-plan.js';
import { FormatError } from '../errors.js';
import type { PlanBody, PlanPrivacy } from '../package/messages/plan.js';
import { addNoise } from '../pipeline/noise.js';
import type { Policy } from '../policy/policy.js';
import { expenseEpsilon, expenseOf } from '../privacy/guarantee.js';
import { drawsOf, noiseTable } from '../privacy/noise-table.js';
import type { PrivacyLedger, SpendRequest } from '../privacy/privacy-ledger.js';
import type { Release } from '../privacy/release.js';
import { samplerDelta } from '../privacy/sampler-distance.js';
import { roundingBound } from '../privacy/sensitivity.js';

export const PRIVACY_LEDGER_FILE = 'privacy.sqlite';

/** A site's budget, and the record of what it spent. */
export interface PrivacyAccount {
  readonly ledger: PrivacyLedger;
  readonly budget: SpendRequest['budget'];
}

export function budgetOf({ privacy }: Policy): SpendRequest['budget'] {
  return { epsilon: privacy.epsilon, delta: privacy.delta, hardStop: privacy.hardStop };
}

/**
 * What the accountant knows of a round.
 *
 * @param contributors updates in the sum; the quorum where that is not known yet
 */
export function releaseOf(privacy: PlanPrivacy, dimension: number, contributors: number): Release {
  return {
    mechanism: privacy.mechanism,
    clientVariance: privacy.clientVariance,
    honest: contributors - privacy.colluders,
    l2Squared: privacy.l2Squared,
    dimension,
    draws: drawsOf(privacy.clientVariance),
  };
}

/** Epsilon of one round with this many contributors, at `delta`. */
export function roundEpsilon(
  privacy: PlanPrivacy,
  dimension: number,
  contributors: number,
  delta = privacy.delta,
): number {
  return expenseEpsilon(expenseOf(releaseOf(privacy, dimension, contributors)), delta);
}

/** What sealing under this plan spends; undefined where it adds no noise. */
export function spendOf(
  plan: TrustedPlan,
  client: string,
  account: PrivacyAccount,
): SpendRequest | undefined {
  const { privacy, quorum, fleet, policy, round } = plan.body;
  if (privacy === undefined) return undefined;
  const release = releaseOf(privacy, plan.arithmetic.valueCount, quorum);
  return {
    plan: plan.fingerprint,
    fleet,
    policy,
    round,
    client,
    release,
    samplerDelta: samplerDelta(release),
    budget: account.budget,
  };
}

/** The coordinator computes the bound on a clip of 1; nothing that matters is nearer to it. */
const BOUND_SLACK = 1e-6;

/**
 * Refuses a plan whose sensitivity is below what roundings of a full clip keep: whether a client could then seal at all
 * would depend on its delta, which tells what no noise covers.
 *
 * @throws FormatError `pipeline.sensitivity`
 */
export function requireLikelyRounding({ privacy, clip, tensors }: PlanBody): void {
  if (privacy === undefined) return;
  const dimension = tensors.reduce((sum, { kept }) => sum + kept, 0);
  const scale = (tensors[0] as PlanBody['tensors'][number]).scale;
  const { l2Squared } = roundingBound({ clip, scale, dimension });
  if (privacy.l2Squared + 1 >= l2Squared * (1 - BOUND_SLACK)) return;
  throw new FormatError(
    'pipeline.sensitivity',
    `The plan's sensitivity, l2Squared = ${privacy.l2Squared}, is below the ${l2Squared} that its clip and scale need: large ` +
      'deltas could not be sealed, and that would show. Ask the coordinator for a plan made by this version.',
  );
}

/**
 * Adds the plan's noise to levels, in place. It comes after rounding and clamping, and is never clamped itself: what
 * exceeds a field wraps, which changes nothing that was promised.
 */
export async function addPlannedNoise(
  plan: PlanBody,
  planFingerprint: Uint8Array,
  prfKey: Uint8Array,
  levels: Int32Array,
): Promise<void> {
  if (plan.privacy === undefined) return;
  const { mechanism, clientVariance } = plan.privacy;
  const { thresholds, draws } = noiseTable({ mechanism, variance: clientVariance });
  await addNoise({
    levels,
    thresholds,
    draws,
    parameterSet: plan.parameterSet,
    planFingerprint,
    prfKey,
  });
}
