/** (epsilon, delta) of releases whose noise comes from tables, which differ a little from the exact mechanisms. */
import { releaseRdp } from './mechanisms.js';
import { compose, epsilonOf, NOTHING_RELEASED, type RdpCurve, requireDelta, scale } from './rdp.js';
import type { Release } from './release.js';
import { samplerDelta, shiftedDelta } from './sampler-distance.js';

const MOST_STEPS = 1000;

/** Deficits of the tables' probability that are tried, from 0.78 down to 2e-9. */
const DEFICITS = Array.from({ length: 80 }, (_, index) => Math.exp(-(index + 1) / 4));

/** More rounds than this are not counted. */
export const MOST_ROUNDS = 2 ** 30;

/** What was released, as far as the accountant is concerned. All three add up over releases. */
export interface Expense {
  /** Of the exact mechanisms. */
  readonly curve: RdpCurve;
  /** Statistical distance d of the real noise from the exact mechanisms'. */
  readonly samplerDelta: number;
  /** Expected deficit b of the real noise's probability under a shift by one client; see `shiftedDelta`. */
  readonly shiftedDelta: number;
}

export const NOTHING_SPENT: Expense = { curve: NOTHING_RELEASED, samplerDelta: 0, shiftedDelta: 0 };

/** The expense of one release. @throws ParameterError `privacy.bad-release`, `privacy.bad-sampler-delta` */
export function expenseOf(release: Release, sampler: number = samplerDelta(release)): Expense {
  return {
    curve: releaseRdp(release),
    samplerDelta: sampler,
    shiftedDelta: shiftedDelta(release, sampler),
  };
}

/** `spent`, and `rounds` times `next`. @throws ParameterError `privacy.bad-rounds` unless an integer >= 0 */
export function addExpense(spent: Expense, next: Expense, rounds = 1): Expense {
  return {
    curve: compose([spent.curve, scale(next.curve, rounds)]),
    samplerDelta: spent.samplerDelta + rounds * next.samplerDelta,
    shiftedDelta: spent.shiftedDelta + (rounds === 0 ? 0 : rounds * next.shiftedDelta),
  };
}

/**
 * The smallest epsilon that is proved for an expense at `delta`; Infinity where none can be. Let P, Q be the exact
 * output distributions with and without the client, P' and Q' the real ones. Two bounds, of which the smaller holds:
 *
 * - P'(S) <= P(S) + d <= e^eps Q(S) + delta' + d <= e^eps Q'(S) + delta' + (1 + e^eps) d. Subtracting d from delta
 *   without its factor would not be a proof.
 * - Q' >= (1 - h) Q but for outputs of probability b/h under P, so with eps = eps' + log(1/(1 - h)) only d + b/h is taken
 *   out of delta: what makes an epsilon of several units provable with tables of 63 bits.
 *
 * @throws ParameterError `privacy.bad-delta`
 */
export function expenseEpsilon(spent: Expense, delta: number): number {
  requireDelta(delta);
  if (spent.samplerDelta === 0) {
    return epsilonOf(spent.curve, delta);
  }
  return Math.min(byDistance(spent, delta), byDeficit(spent, delta));
}

function byDistance({ curve, samplerDelta: distance }: Expense, delta: number): number {
  const atLeast = (epsilon: number): number => {
    const left = delta - (1 + Math.exp(epsilon)) * distance;
    return left > 0 ? epsilonOf(curve, left) : Number.POSITIVE_INFINITY;
  };
  // Rises towards the smallest solution; the step beyond it, by a billionth, is checked to be one.
  let epsilon = 0;
  for (let step = 0; step < MOST_STEPS; step += 1) {
    epsilon = atLeast(epsilon);
    const candidate = epsilon * (1 + 1e-9);
    if (epsilon === Number.POSITIVE_INFINITY || atLeast(candidate) <= candidate) {
      return candidate;
    }
  }
  return Number.POSITIVE_INFINITY;
}

function byDeficit({ curve, samplerDelta: distance, shiftedDelta: shifted }: Expense, delta: number): number {
  return DEFICITS.reduce((least, deficit) => {
    const left = delta - distance - shifted / deficit;
    return left > 0 ? Math.min(least, epsilonOf(curve, left) - Math.log1p(-deficit)) : least;
  }, Number.POSITIVE_INFINITY);
}

/** How often `next` still fits after `spent`, by composition; at most {@link MOST_ROUNDS}. */
export function roundsWithin(
  spent: Expense,
  next: Expense,
  budget: { readonly epsilon: number; readonly delta: number },
): number {
  const fits = (rounds: number): boolean =>
    expenseEpsilon(addExpense(spent, next, rounds), budget.delta) <= budget.epsilon;
  if (!fits(1)) {
    return 0;
  }
  let enough = 1;
  while (enough < MOST_ROUNDS && fits(enough * 2)) {
    enough *= 2;
  }
  let tooMany = enough * 2;
  while (tooMany - enough > 1 && enough < MOST_ROUNDS) {
    const middle = Math.floor((enough + tooMany) / 2);
    if (fits(middle)) {
      enough = middle;
    } else {
      tooMany = middle;
    }
  }
  return enough;
}
