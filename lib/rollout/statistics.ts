/** One-sided confidence bounds of rates and means: what a rollout decides by, instead of point values. */
import { normalUpperTail } from '../pipeline/allocation/normal-distribution.js';

/** Below this the expansion of Student's quantile is off by more than a percent at 99.9 %. */
const MIN_SAMPLES_FOR_A_MEAN = 10;

/** Each bound holds with the confidence by itself: together they are a two-sided interval of less. */
export interface Bounds {
  readonly lower: number;
  readonly upper: number;
}

/** Nothing is known. Finite, since results are stored as JSON, which has no infinity. */
const ANY_RATE: Bounds = { lower: 0, upper: 1 };
const ANY_MEAN: Bounds = { lower: 0, upper: Number.MAX_VALUE };

/**
 * z with P(Z <= z) = confidence.
 *
 * @param confidence in [0.5, 1)
 */
export function normalQuantile(confidence: number): number {
  const tail = 1 - confidence;
  let low = 0;
  let high = 38;
  // The tail falls monotonically; 64 halvings reach the last bit of a double.
  for (let halving = 0; halving < 64; halving += 1) {
    const middle = (low + high) / 2;
    if (normalUpperTail(middle) > tail) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * Student's t with P(T <= t) = confidence: the expansion of Fisher and Cornish around the normal quantile, good for a
 * percent from 9 degrees of freedom on. Source: Abramowitz and Stegun, 26.7.5.
 */
export function studentQuantile(confidence: number, degreesOfFreedom: number): number {
  const z = normalQuantile(confidence);
  const square = z * z;
  const first = (z * (square + 1)) / 4;
  const second = (z * ((5 * square + 16) * square + 3)) / 96;
  const third = (z * (((3 * square + 19) * square + 17) * square - 15)) / 384;
  return z + (first + (second + third / degreesOfFreedom) / degreesOfFreedom) / degreesOfFreedom;
}

/**
 * Wilson's score bounds of a rate. They keep their confidence for small counts and rates near 0 and 1, where the usual
 * normal interval has no width at all. Source: Wilson, J. Am. Stat. Assoc. 22 (1927).
 *
 * @param hits in [0, trials]; fractions are allowed, for trials that weigh less than one
 */
export function rateBounds(hits: number, trials: number, confidence: number): Bounds {
  if (trials <= 0) return ANY_RATE;
  const z = normalQuantile(confidence);
  const rate = hits / trials;
  const scale = 1 + (z * z) / trials;
  const centre = (rate + (z * z) / (2 * trials)) / scale;
  const half = (z / scale) * Math.sqrt((rate * (1 - rate)) / trials + (z * z) / (4 * trials * trials));
  return { lower: Math.max(0, centre - half), upper: Math.min(1, centre + half) };
}

export interface Moments {
  readonly count: number;
  readonly sum: number;
  readonly sumOfSquares: number;
}

/** Student's bounds of a mean of what is not negative. With fewer than 10 samples nothing is claimed. */
export function meanBounds({ count, sum, sumOfSquares }: Moments, confidence: number): Bounds {
  if (count < MIN_SAMPLES_FOR_A_MEAN) return ANY_MEAN;
  const mean = sum / count;
  // Rounding can leave a tiny negative number where all samples are the same.
  const variance = Math.max(0, (sumOfSquares - sum * mean) / (count - 1));
  const half = studentQuantile(confidence, count - 1) * Math.sqrt(variance / count);
  return { lower: mean - half, upper: mean + half };
}
