/** Two adapters on the same seeds: the difference of their rates, from the pairs in which they differ. */
import { betaDistribution } from './beta.js';
import { bisect, type Interval, requireLimitError } from './interval.js';
import { normalUpperQuantile } from './normal.js';

export interface PairedCounts {
  /** Pairs in which only the first succeeded. */
  readonly onlyFirst: number;
  /** Pairs in which only the second succeeded. */
  readonly onlySecond: number;
  /** All pairs, at least 1. */
  readonly pairs: number;
}

/**
 * Tango's score interval of (rate of the first - rate of the second) (Statistics in Medicine 17, 1998, equation 7).
 *
 * @param limitError error probability of each limit, in (0, 0.5). The limits are asymptotic: docs/evaluation.md has the
 *   largest error that exact enumeration finds
 */
export function pairedDifferenceInterval(counts: PairedCounts, limitError: number): Interval {
  requireLimitError(limitError);
  const z = normalUpperQuantile(limitError);
  const estimate = (counts.onlyFirst - counts.onlySecond) / counts.pairs;
  return {
    lower: bisect(-1, estimate, (difference) => score(counts, difference) > z),
    upper: bisect(estimate, 1, (difference) => score(counts, difference) > -z),
  };
}

/** How many standard deviations the observed difference lies above `difference`, if that were the true one. */
function score({ onlyFirst, onlySecond, pairs }: PairedCounts, difference: number): number {
  const excess = onlyFirst - onlySecond - pairs * difference;
  if (excess === 0) return 0;
  const rate = constrainedRate({ onlyFirst, onlySecond, pairs }, difference);
  const variance = pairs * (2 * rate + difference * (1 - difference));
  return variance <= 0 ? Math.sign(excess) * Number.POSITIVE_INFINITY : excess / Math.sqrt(variance);
}

/**
 * The most likely rate q of pairs in which only the second succeeds, if the difference is given: the larger root of
 * 2 n q^2 + (n (2 difference) - b (1 + difference) - c (1 - difference)) q - c difference (1 - difference) = 0.
 */
function constrainedRate({ onlyFirst, onlySecond, pairs }: PairedCounts, difference: number): number {
  const linear = 2 * pairs * difference - onlyFirst * (1 + difference) - onlySecond * (1 - difference);
  const constant = -onlySecond * difference * (1 - difference);
  const root = (Math.sqrt(Math.max(0, linear * linear - 8 * pairs * constant)) - linear) / (4 * pairs);
  // Rounding may leave the region in which all four rates are probabilities.
  return Math.min(Math.max(root, 0, -difference), (1 - difference) / 2);
}

/**
 * McNemar's exact test, two-sided: how likely a split of the differing pairs at least as uneven as this one is, if neither
 * adapter is better.
 *
 * @returns a p-value in (0, 1]
 */
export function mcNemarExact({ onlyFirst, onlySecond }: PairedCounts): number {
  const fewer = Math.min(onlyFirst, onlySecond);
  const differing = onlyFirst + onlySecond;
  if (2 * fewer === differing) return 1;
  // P(B <= fewer) for B binomial(differing, 1/2).
  return Math.min(1, 2 * betaDistribution(differing - fewer, fewer + 1, 0.5));
}
