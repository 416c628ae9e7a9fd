/**
 * The grid of each tensor, from the clip norm.
 *
 * A tensor's kept coordinates, rotated afresh every round, are Gaussian (under one rotation for all rounds they
 * would not be:
 * what has waited longer is larger, and fifty times as many coordinates would saturate), so their root mean square
 * fixes the grid: gamma = range * rms / L.
 * A wider range saturates fewer coordinates and rounds all of them more coarsely. Saturation is a bias that all
 * clients
 * with similar deltas share, rounding is noise that averages out, so the best range grows with the number of clients.
 *
 * The trade: left alone, the least squared error of 16 clients' average lies at 1.7 (2 bits), 2.7 (4 bits) to 3.8
 * (8 bits)
 * standard deviations of an update that fills the clip, where 9 %, 0.8 % and 0.02 % saturate. Saturation would
 * then be
 * the normal case at few bits, instead of a sign of trouble. So at most one coordinate in a thousand may saturate
 * even in a client that fills the clip (range >= 3.29). For 16 clients that costs a factor of squared error of 2.5
 * at 2 bits, 1.8 at 3,
 * 1.3 at 4, 1.1 at 5 and nothing from 6 on; for fewer clients more (3 clients: 4.4 at 2 bits), for 64 less (1.8).
 */
import { requireBits, requireCount, requirePositive, requireRatio } from './arguments.js';
import { CLIP_HEADROOM, type KeptEnergy } from './clip.js';
import { gaussianQuantizationError, topLevel } from './rounding-error.js';

/** The normal quantile z with P(|Z| > z) = 0.001. */
export const LEAST_RANGE = 3.2905267314919255;
/** P(|Z| > 8) is 1e-15: no range beyond is ever better. */
const LARGEST_RANGE = 8;
/** What a round's largest coordinate may grow over the reference's, for tensors that are not rotated. */
const PEAK_HEADROOM = 1.5;
/** A private round's gamma over C / sqrt(K), unless the request says otherwise: 4 % of squared sensitivity. */
export const PRIVATE_FRACTION = 0.4;

/**
 * The range, in standard deviations of a coordinate of an update that fills the clip, with the least expected
 * squared error of the
 * average of `clients` clients whose updates have the typical size of 1 / {@link CLIP_HEADROOM} of the clip, subject
 * to at most 0.1 % saturated coordinates at the clip.
 *
 * @param bits 2..8
 * @returns {@link LEAST_RANGE} to 8
 * @throws ParameterError `plan.argument-out-of-range`
 */
export function gridRange(bits: number, clients: number): number {
  requireBits('The number of bits', bits);
  requireCount('The number of clients', clients);
  const level = topLevel(bits);
  const squaredError = (range: number): number => {
    const { rounding, saturation } = gaussianQuantizationError(level / (range * CLIP_HEADROOM), level);
    return range ** 2 * (rounding / clients + saturation);
  };
  let low = LEAST_RANGE;
  let high = LARGEST_RANGE;
  // Rounding grows with the range and saturation falls, both convexly: one minimum, found by thirds.
  while (high - low > 1e-6) {
    const third = (high - low) / 3;
    if (squaredError(low + third) <= squaredError(high - third)) high -= third;
    else low += third;
  }
  return low - LEAST_RANGE < 1e-5 ? LEAST_RANGE : (low + high) / 2;
}

export interface GridTensor extends KeptEnergy {
  /** K: values sent a round. */
  readonly count: number;
}

/**
 * Root mean square of each tensor's kept coordinates in an update that fills the clip: C * sqrt(share_m / K_m), with
 * share_m the tensor's part of the energy sent in the steady state, e_m (2 - kappa_m) / kappa_m (clip.ts).
 *
 * @param tensors at least one with energy; a tensor without energy gets 0
 * @throws ParameterError `plan.argument-out-of-range`
 */
export function coordinateRms(clip: number, tensors: readonly GridTensor[]): number[] {
  requirePositive('The clip norm', clip);
  const sent = tensors.map(({ energy, keepRatio }) => {
    requireRatio('A keep ratio', keepRatio);
    return (energy * (2 - keepRatio)) / keepRatio;
  });
  const total = sent.reduce((a, b) => a + b, 0);
  requirePositive('The energy of all tensors', total);
  return tensors.map(({ count }, m) => clip * Math.sqrt((sent[m] as number) / total / count));
}

/** gamma such that the largest level stands for `range` times `rms`. */
export function gridScale(bits: number, rms: number, range: number): number {
  return (range * rms) / topLevel(bits);
}

/**
 * The range of a tensor that is *not* rotated. Its coordinates are not Gaussian, a few may be far larger than the
 * rest, and no formula bounds them: the range follows the largest magnitude of the reference, in units of its root
 * mean
 * square, with half of it again on top.
 *
 * @throws ParameterError `plan.argument-out-of-range`
 */
export function peakRange(largest: number, referenceRms: number): number {
  requirePositive('The largest magnitude', largest);
  requirePositive('The root mean square', referenceRms);
  return (PEAK_HEADROOM * largest) / referenceRms;
}

export interface CommonScaleRequest {
  readonly clip: number;
  /** K: values sent a round over all tensors. */
  readonly dimension: number;
  /** gamma as a fraction of the clip's root mean square over the dimension, C / sqrt(K); 0.4 by default. */
  readonly fraction?: number;
}

export interface CommonScale {
  readonly scale: number;
  /**
   * By how much rounding inflates the squared sensitivity: gamma^2 K / (4 C^2) = fraction^2 / 4, 4 % by default,
   * to which
   * conditional rounding adds a term of order gamma / C ("The Distributed Discrete Gaussian Mechanism", arXiv
   * 2102.06387,
   * Prop. 14). The accountant computes it exactly; this is for choosing the fraction.
   */
  readonly squaredSensitivityInflation: number;
}

/**
 * The one grid of a private round. Noise of one integer variance must mean the same in every coordinate, or the
 * sensitivity would be set by the finest grid; so all tensors share gamma, and differ in bits instead.
 *
 * @throws ParameterError `plan.argument-out-of-range`
 */
export function commonScale(request: CommonScaleRequest): CommonScale {
  const { clip, dimension, fraction = PRIVATE_FRACTION } = request;
  requirePositive('The clip norm', clip);
  requireCount('The number of values sent', dimension);
  requirePositive('The fraction', fraction);
  return {
    scale: (fraction * clip) / Math.sqrt(dimension),
    squaredSensitivityInflation: fraction ** 2 / 4,
  };
}

/** The fewest bits, from 2 on, whose largest level reaches `reach` on a grid of `scale`. May exceed 8: then none fits. */
export function bitsToReach(reach: number, scale: number): number {
  let bits = 2;
  while (topLevel(bits) * scale < reach * (1 - 1e-12)) bits += 1;
  return bits;
}
