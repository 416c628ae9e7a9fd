/** The logarithm of the gamma function, and the gamma distribution. */
import { bisect } from './interval.js';

const HALF_LOG_TWO_PI = 0.9189385332046727;
/** Lanczos' approximation with g = 7 and nine terms, relative error about 1e-15 (Godfrey's coefficients). */
const LANCZOS_G = 7;
const LANCZOS = [
  0.9999999999998099, 676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406,
  12.507343278686905, -0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7,
] as const;

/** Terms of a series or levels of a fraction: beyond what arguments up to a million need (some multiple of their root). */
const MAX_TERMS = 20_000;
const TINY = 1e-300;
const PRECISION = 1e-16;

/** log Gamma(x), x > 0. */
export function logGamma(x: number): number {
  // Below 1/2 the approximation loses digits: Gamma(x) = Gamma(x + 1) / x.
  if (x < 0.5) return logGamma(x + 1) - Math.log(x);
  const base = x + LANCZOS_G - 0.5;
  const sum = LANCZOS.reduce(
    (total, coefficient, i) => total + (i === 0 ? coefficient : coefficient / (x + i - 1)),
    0,
  );
  return HALF_LOG_TWO_PI + (x - 0.5) * Math.log(base) - base + Math.log(sum);
}

/**
 * P(X <= x) for X of the gamma distribution with this shape and scale 1: the regularized incomplete gamma function.
 * A series below the mean, Legendre's continued fraction above it (Abramowitz and Stegun 6.5.29, 6.5.31).
 *
 * @param shape above 0
 * @param x at least 0
 */
export function gammaDistribution(shape: number, x: number): number {
  if (x <= 0) return 0;
  const density = Math.exp(shape * Math.log(x) - x - logGamma(shape));
  return x < shape + 1 ? density * lowerSeries(shape, x) : 1 - density * upperFraction(shape, x);
}

function lowerSeries(shape: number, x: number): number {
  let term = 1 / shape;
  let sum = term;
  for (let i = 1; i < MAX_TERMS && term > sum * PRECISION; i += 1) {
    term *= x / (shape + i);
    sum += term;
  }
  return sum;
}

/** By the modified Lentz method. */
function upperFraction(shape: number, x: number): number {
  let b = x + 1 - shape;
  let c = 1 / TINY;
  let d = 1 / b;
  let value = d;
  for (let i = 1; i < MAX_TERMS; i += 1) {
    const a = -i * (i - shape);
    b += 2;
    d = 1 / awayFromZero(a * d + b);
    c = awayFromZero(b + a / c);
    const factor = c * d;
    value *= factor;
    if (Math.abs(factor - 1) < PRECISION) break;
  }
  return value;
}

/** The x with P(X <= x) = probability. @param shape at least 1; probability in (0, 1) */
export function gammaQuantile(shape: number, probability: number): number {
  let high = shape + 1;
  while (gammaDistribution(shape, high) < probability) high *= 2;
  return bisect(0, high, (x) => gammaDistribution(shape, x) < probability);
}

/** Lentz' method divides by what may be zero, and recovers in the next step if it is not quite. */
export function awayFromZero(value: number): number {
  return Math.abs(value) < TINY ? TINY : value;
}
