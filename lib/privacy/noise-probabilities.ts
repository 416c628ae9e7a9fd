/**
 * Probabilities of Skellam and discrete Gaussian noise, in fixed point on big integers: no floating point, so that
 * every machine computes the same table.
 */
import type { Mechanism } from './release.js';

/** Fractional bits of the probabilities. */
export const PROBABILITY_BITS = 192n;

/**
 * Each probability is within 2^-184 of the exact one, and so is all that lies beyond the last. Proved loosely: see the
 * functions below; the working precision leaves 2^-200 at worst.
 */
export const PROBABILITY_ERROR = 1n << 8n;

const WORKING_BITS = 256n;
const ONE = 1n << WORKING_BITS;

/** A variance as a rational number, quanta^2, at least 1. */
export interface RationalVariance {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

/** P(|X| = k) for k = 0, 1, ..., with {@link PROBABILITY_BITS} fractional bits; beyond the last, less than 2^-199. */
export function magnitudeProbabilities(mechanism: Mechanism, variance: RationalVariance): bigint[] {
  const last = lastMagnitude(variance);
  const weights = mechanism === 'skellam' ? besselWeights(variance, last) : gaussianWeights(variance, last);
  let total = 0n;
  for (const [k, weight] of weights.entries()) {
    if (k > 0) {
      weights[k] = 2n * weight;
    }
    total += weights[k] ?? 0n;
  }
  return weights.map((weight) => (weight << PROBABILITY_BITS) / total);
}

/**
 * Both mechanisms have P(|X| >= k) <= 2 exp(-k^2 / (2 (v + k/3))): for Skellam, log E exp(tX) = v (cosh t - 1) <=
 * (v t^2/2) / (1 - t/3), which is Bernstein's condition; the discrete Gaussian is sub-Gaussian with its sigma
 * (Canonne, Kamath, Steinke 2020). k = 94 + sqrt(280 v) puts that below 2^-200.
 */
function lastMagnitude({ numerator, denominator }: RationalVariance): number {
  return 95 + Number(integerRoot((280n * numerator) / denominator + 1n));
}

/**
 * exp(-k^2 / (2 v)) by its ratios exp(-(2k+1) / (2 v)), of which each is the one before times exp(-1/v).
 * Truncation adds at most 2^-256 a step to a ratio and to a weight, hence less than last^2 2^-255 to any weight.
 */
function gaussianWeights({ numerator, denominator }: RationalVariance, last: number): bigint[] {
  let ratio = exponentialOfMinus((denominator << WORKING_BITS) / (2n * numerator));
  const step = (ratio * ratio) >> WORKING_BITS;
  const weights = [ONE];
  let weight = ONE;
  for (let k = 1; k <= last; k += 1) {
    weight = (weight * ratio) >> WORKING_BITS;
    ratio = (ratio * step) >> WORKING_BITS;
    weights.push(weight);
  }
  return weights;
}

/**
 * I_k(v) up to a common factor, by I_{k-1} = I_{k+1} + (2k/v) I_k downwards from an arbitrary start (Miller; DLMF
 * 3.6 and 10.29), which is stable because all terms are positive. Starting from 0 at last + 1 mixes in K_k: a
 * relative error of about (I_last / I_k)^2, below 2^-250 wherever P(|X| = k) matters (> 2^-75), and an absolute one
 * below 2^-199 elsewhere. Each floor loses less than 2^-256 of a value.
 */
function besselWeights({ numerator, denominator }: RationalVariance, last: number): bigint[] {
  const weights = new Array<bigint>(last + 1);
  let above = 0n;
  let here = ONE;
  for (let k = last; k > 0; k -= 1) {
    weights[k] = here;
    const below = above + (2n * BigInt(k) * denominator * here) / numerator;
    above = here;
    here = below;
  }
  weights[0] = here;
  return weights;
}

/** exp(-x) for x in [0, 1/2], {@link WORKING_BITS} fractional bits, by its series. */
function exponentialOfMinus(x: bigint): bigint {
  let sum = 0n;
  let term = ONE;
  for (let n = 1n; term !== 0n; n += 1n) {
    sum += n % 2n === 1n ? term : -term;
    term = ((term * x) >> WORKING_BITS) / n;
  }
  return sum;
}

/** floor(sqrt(value)), by Newton's iteration from above. */
function integerRoot(value: bigint): bigint {
  let root = 1n << BigInt(Math.ceil(value.toString(2).length / 2));
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) {
      return root;
    }
    root = next;
  }
}
