/**
 * Probabilities of the noise by other formulas than the product's, at higher precision: the discrete Gaussian term by
 * term from its definition, Skellam by the power series of the Bessel function. For small variances.
 */
import type { Mechanism } from '../../../lib/privacy/release.js';

export const ORACLE_BITS = 640n;

const ONE = 1n << ORACLE_BITS;

/** P(X = k), k = 0..last, with ORACLE_BITS fractional bits. `variance` is numerator / denominator. */
export function exactProbabilities(
  mechanism: Mechanism,
  numerator: bigint,
  denominator: bigint,
  last: number,
): bigint[] {
  return mechanism === 'skellam'
    ? Array.from({ length: last + 1 }, (_, k) => skellam(numerator, denominator, k))
    : discreteGaussian(numerator, denominator, last);
}

/** exp(-v) (v/2)^k sum_j (v/2)^(2j) / (j! (j + k)!) */
function skellam(numerator: bigint, denominator: bigint, k: number): bigint {
  const half = (numerator * ONE) / (2n * denominator);
  let term = ONE;
  for (let i = 1n; i <= BigInt(k); i += 1n) term = ((term * half) >> ORACLE_BITS) / i;
  let sum = 0n;
  for (let j = 1n; term > 0n; j += 1n) {
    sum += term;
    term = ((((term * half) >> ORACLE_BITS) * half) >> ORACLE_BITS) / (j * (j + BigInt(k)));
  }
  return (sum * exponentialOfMinus(numerator, denominator)) >> ORACLE_BITS;
}

function discreteGaussian(numerator: bigint, denominator: bigint, last: number): bigint[] {
  const weights: bigint[] = [];
  let total = 0n;
  for (let k = 0n; ; k += 1n) {
    const weight = exponentialOfMinus(k * k * denominator, 2n * numerator);
    if (weight < 1n << 320n && k > last) break;
    weights.push(weight);
    total += k === 0n ? weight : 2n * weight;
  }
  return weights.slice(0, last + 1).map((weight) => (weight << ORACLE_BITS) / total);
}

/** exp(-p/q), as 1 / exp(p / (q 2^r)) squared r times: a positive series, unlike the product's. */
function exponentialOfMinus(p: bigint, q: bigint): bigint {
  const halvings = BigInt((p / q + 1n).toString(2).length);
  const x = (p * ONE) / (q << halvings);
  let sum = 0n;
  let term = ONE;
  for (let n = 1n; term > 0n; n += 1n) {
    sum += term;
    term = ((term * x) >> ORACLE_BITS) / n;
  }
  let result = (ONE * ONE) / sum;
  for (let i = 0n; i < halvings; i += 1n) result = (result * result) >> ORACLE_BITS;
  return result;
}

/** As a double; exact enough for anything above 2^-1000. */
export function toNumber(probability: bigint): number {
  const bits = probability.toString(2).length;
  const shift = Math.max(0, bits - 64);
  return Number(probability >> BigInt(shift)) * 2 ** (shift - Number(ORACLE_BITS));
}

/** P(X = k) for k = -last..last, as doubles. */
export function symmetricProbabilities(mechanism: Mechanism, variance: number, last: number): number[] {
  const half = exactProbabilities(mechanism, BigInt(variance), 1n, last).map(toNumber);
  return [...half.slice(1).reverse(), ...half];
}

/**
 * Renyi divergence in nats of a distribution from itself shifted by `shift`, over the values that are given, which are
 * not all: a lower bound, close where the order is moderate.
 */
export function renyiOfShift(probabilities: readonly number[], shift: number, order: number): number {
  const logs: number[] = [];
  for (let k = shift; k < probabilities.length; k += 1) {
    const [p, q] = [probabilities[k] ?? 0, probabilities[k - shift] ?? 0];
    if (p > 0 && q > 0) logs.push(order * Math.log(p) - (order - 1) * Math.log(q));
  }
  const largest = Math.max(...logs);
  const sum = logs.reduce((total, log) => total + Math.exp(log - largest), 0);
  return (largest + Math.log(sum)) / (order - 1);
}

export function convolve(left: readonly number[], right: readonly number[]): number[] {
  const out = new Array<number>(left.length + right.length - 1).fill(0);
  for (const [i, a] of left.entries()) {
    for (const [j, b] of right.entries()) out[i + j] = (out[i + j] ?? 0) + a * b;
  }
  return out;
}
