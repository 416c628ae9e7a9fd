/** The table that a client's integer noise is drawn from, by one comparison of 63 random bits with each entry. */
import { ParameterError } from '../errors.js';
import { magnitudeProbabilities, PROBABILITY_BITS, PROBABILITY_ERROR } from './noise-probabilities.js';
import { LARGEST_CLIENT_VARIANCE, MECHANISMS, type Mechanism } from './release.js';

/** More entries than this and the noise is drawn as a sum of several samples. */
export const LARGEST_TABLE = 8192;

/** The largest variance of one sample, quanta^2, whose table has at most {@link LARGEST_TABLE} entries. */
export const LARGEST_DRAW_VARIANCE = 800_000;

const UNIFORM_BITS = 63n;

export interface NoiseTableRequest {
  readonly mechanism: Mechanism;
  /** Variance of the whole noise of one value, quanta^2: an integer from 1 to 2^32. */
  readonly variance: number;
  /** Samples that make up the noise; by default, and at least, {@link drawsOf} the variance. */
  readonly draws?: number;
}

export interface NoiseTable {
  /**
   * `thresholds[k] = round(2^63 P(|X| <= k))` < 2^63, ascending, for one sample X of variance `variance / draws`. For
   * u uniform in [0, 2^63), the number of thresholds <= u is |X|; its sign is an independent bit.
   */
  readonly thresholds: BigUint64Array;
  /** Independent samples to add up. */
  readonly draws: number;
  /** Upper bound of the statistical distance of one value's noise, all draws, from the exact distribution. */
  readonly totalVariation: number;
}

/**
 * Computes the table, in some milliseconds.
 *
 * It ends where less than 2^-64 is left. Half of the sum of |table - exact| over all magnitudes is computed to 184
 * bits and rounded up; distances of independent samples add.
 *
 * @throws ParameterError `privacy.bad-noise`
 */
export function noiseTable(request: NoiseTableRequest): NoiseTable {
  const { mechanism, variance, draws = drawsOf(variance) } = request;
  if (!MECHANISMS.includes(mechanism)) {
    throw new ParameterError('privacy.bad-noise', `There is no mechanism ${String(mechanism)}.`);
  }
  if (!Number.isSafeInteger(draws) || draws < drawsOf(variance) || draws > variance) {
    throw new ParameterError(
      'privacy.bad-noise',
      `${draws} draws for variance ${variance}; it must be an integer from ${drawsOf(variance)} to ${variance}.`,
    );
  }
  const probabilities = magnitudeProbabilities(mechanism, {
    numerator: BigInt(variance),
    denominator: BigInt(draws),
  });
  const thresholds = thresholdsOf(probabilities);
  return { thresholds, draws, totalVariation: draws * distance(thresholds, probabilities) };
}

/**
 * The samples that noise of this variance is the sum of.
 *
 * @throws ParameterError `privacy.bad-noise` unless the variance is an integer from 1 to 2^32
 */
export function drawsOf(variance: number): number {
  if (!Number.isSafeInteger(variance) || variance < 1 || variance > LARGEST_CLIENT_VARIANCE) {
    throw new ParameterError(
      'privacy.bad-noise',
      `The noise variance is ${variance} quanta^2; it must be an integer from 1 to 2^32.`,
    );
  }
  return Math.ceil(variance / LARGEST_DRAW_VARIANCE);
}

/**
 * An upper bound of `noiseTable(...).totalVariation` without the table, about three times as large: rounding costs at
 * most 2^-64 an entry, and P(|X| > T) <= 2 exp(-T^2 / (2 (v + T/3))) bounds the entries (see `lastMagnitude`).
 *
 * @throws ParameterError `privacy.bad-noise`
 */
export function totalVariationBound(variance: number, draws: number = drawsOf(variance)): number {
  drawsOf(variance);
  const entries = 32 + Math.sqrt((90.2 * variance) / draws);
  return draws * (entries + 1) * 2 ** -64;
}

function thresholdsOf(probabilities: readonly bigint[]): BigUint64Array {
  const one = 1n << PROBABILITY_BITS;
  const shift = PROBABILITY_BITS - UNIFORM_BITS;
  const largestTail = 1n << (PROBABILITY_BITS - 64n);
  const thresholds: bigint[] = [];
  let below = 0n;
  for (const probability of probabilities) {
    below += probability;
    if (one - below < largestTail) {
      break;
    }
    // At most 2^63 - 1, because 2^-64 at least is left. Half down, for the case of exactly that.
    thresholds.push((below + (1n << (shift - 1n)) - 1n) >> shift);
  }
  return BigUint64Array.from(thresholds);
}

function distance(thresholds: BigUint64Array, probabilities: readonly bigint[]): number {
  const shift = PROBABILITY_BITS - UNIFORM_BITS;
  const end = 1n << UNIFORM_BITS;
  let sum = 0n;
  let previous = 0n;
  for (const [k, probability] of probabilities.entries()) {
    const threshold = k < thresholds.length ? (thresholds[k] ?? end) : end;
    const difference = ((threshold - previous) << shift) - probability;
    sum += difference < 0n ? -difference : difference;
    previous = threshold;
  }
  sum += PROBABILITY_ERROR * BigInt(probabilities.length + 1);
  // Half of the sum; the conversion rounds to 53 bits.
  return (Number(sum) / 2 ** (Number(PROBABILITY_BITS) + 1)) * (1 + 2 ** -50);
}
