/** Limits of a mean of which nothing is known but a sample: the studentized bootstrap. */
import { type Interval, requireLimitError } from './interval.js';

/**
 * Always the same, so that the same episodes always give the same verdict. Nobody gains by knowing it: resampling chooses
 * among episodes that are already there.
 */
const BOOTSTRAP_SEED = 0x7e57_0001;
const MIN_RESAMPLES = 4000;
/** At least so many resamples lie beyond each limit. */
const RESAMPLES_BEYOND = 20;
const MAX_RESAMPLES = 100_000;
/** Below this many values resampling says nothing of the tails. */
export const MIN_BOOTSTRAP_VALUES = 10;

/**
 * Limits of the mean of what `values` is a sample of, by the bootstrap-t method (Efron and Tibshirani, An Introduction to the
 * Bootstrap, 1993, section 12.5): unlike those of Student's t they follow a skew, as divergences and durations have it.
 *
 * @param values finite
 * @param limitError error probability of each limit, in (0, 0.5), up to what the sample's size allows
 * @returns undefined for fewer than {@link MIN_BOOTSTRAP_VALUES} values, or where they are too alike for a limit
 */
export function bootstrapMeanInterval(values: ArrayLike<number>, limitError: number): Interval | undefined {
  requireLimitError(limitError);
  if (values.length < MIN_BOOTSTRAP_VALUES) return undefined;
  const { mean, standardError } = momentsOf(values, (i) => i);
  // No spread at all: an adapter whose divergence is 0 everywhere, say.
  if (standardError === 0) return { lower: mean, upper: mean };
  const beyond = Math.ceil(RESAMPLES_BEYOND / limitError);
  const resamples = Math.min(MAX_RESAMPLES, Math.max(MIN_RESAMPLES, beyond));
  const deviations = resampledDeviations(values, mean, resamples);
  const skipped = Math.floor(limitError * resamples);
  const lower = mean - (deviations[resamples - 1 - skipped] as number) * standardError;
  const upper = mean - (deviations[skipped] as number) * standardError;
  // An infinite deviation is a resample without spread.
  return Number.isFinite(lower) && Number.isFinite(upper) ? { lower, upper } : undefined;
}

/** (mean of a resample - mean) / its standard error, ascending. */
function resampledDeviations(values: ArrayLike<number>, mean: number, resamples: number): Float64Array {
  const next = seededWords(BOOTSTRAP_SEED);
  const deviations = new Float64Array(resamples);
  const { length } = values;
  for (let r = 0; r < resamples; r += 1) {
    const resample = momentsOf(values, () => Math.floor((next() / 2 ** 32) * length));
    const excess = resample.mean - mean;
    deviations[r] = excess === 0 ? 0 : excess / resample.standardError;
  }
  return deviations.sort();
}

function momentsOf(
  values: ArrayLike<number>,
  indexOf: (i: number) => number,
): { readonly mean: number; readonly standardError: number } {
  // Around the first value, so that a spread much smaller than the values is not lost to cancellation.
  const origin = values[0] as number;
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < values.length; i += 1) {
    const value = (values[indexOf(i)] as number) - origin;
    sum += value;
    squares += value * value;
  }
  const { length } = values;
  const variance = Math.max(0, (squares - (sum * sum) / length) / (length - 1));
  return { mean: origin + sum / length, standardError: Math.sqrt(variance / length) };
}

/** Words of 32 bits from xorshift32 under a Weyl sequence (Marsaglia, J. Stat. Softw. 8, 2003): statistics, not secrets. */
function seededWords(seed: number): () => number {
  let state = seed | 1;
  let weyl = 0;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    weyl = (weyl + 362_437) | 0;
    return (state + weyl) >>> 0;
  };
}
