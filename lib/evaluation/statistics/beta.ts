/** The beta distribution, in whose quantiles exact limits of a rate are. */
import { awayFromZero, logGamma } from './gamma.js';
import { bisect } from './interval.js';

const MAX_LEVELS = 20_000;
const PRECISION = 1e-16;

/**
 * P(X <= x) for X of the beta distribution: the regularized incomplete beta function I_x(a, b), by its continued fraction
 * (Abramowitz and Stegun 26.5.8) on whichever side converges fast.
 *
 * @param a above 0
 * @param b above 0
 * @param x in [0, 1]
 */
export function betaDistribution(a: number, b: number, x: number): number {
  return distributionAt(a, b, x, logBeta(a, b));
}

function logBeta(a: number, b: number): number {
  return logGamma(a) + logGamma(b) - logGamma(a + b);
}

function distributionAt(a: number, b: number, x: number, logNormalization: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(a * Math.log(x) + b * Math.log1p(-x) - logNormalization);
  return x < (a + 1) / (a + b + 2)
    ? (front * fraction(a, b, x)) / a
    : 1 - (front * fraction(b, a, 1 - x)) / b;
}

/** By the modified Lentz method: an even and an odd step a level. */
function fraction(a: number, b: number, x: number): number {
  let c = 1;
  let d = 1 / awayFromZero(1 - ((a + b) * x) / (a + 1));
  let value = d;
  const step = (numerator: number): number => {
    d = 1 / awayFromZero(1 + numerator * d);
    c = awayFromZero(1 + numerator / c);
    value *= c * d;
    return c * d;
  };
  for (let m = 1; m < MAX_LEVELS; m += 1) {
    step((m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)));
    const factor = step((-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1)));
    if (Math.abs(factor - 1) < PRECISION) break;
  }
  return value;
}

/** The x with P(X <= x) = probability. @param a, b at least 1; probability in (0, 1) */
export function betaQuantile(a: number, b: number, probability: number): number {
  const logNormalization = logBeta(a, b);
  return bisect(0, 1, (x) => distributionAt(a, b, x, logNormalization) < probability);
}
