/**
 * What stochastic rounding to the levels -L..L costs, predicted exactly for a Gaussian coordinate.
 *
 * Everything here is in units of the grid: sigma is the coordinate's standard deviation divided by gamma, errors
 * are to
 * be multiplied by gamma^2. With f the fractional part of x, stochastic rounding is unbiased with variance f(1-f).
 * Its
 * mean is the familiar 1/6 only on a fine grid; with 2 bits most coordinates lie between 0 and the first level, where
 * a coordinate of size |x| costs about |x|, and 1/6 would be wrong severalfold.
 */
import { normalDensity, normalUpperTail } from './normal-distribution.js';

export interface QuantizationError {
  /** Variance of the rounding: fresh for every client, so an average of N clients has 1/N of it. */
  readonly rounding: number;
  /** Squared error of clamping to +-L: the same coordinates in every client that holds the same delta; no average removes it. */
  readonly saturation: number;
  /** P(|x| > L). */
  readonly saturatedFraction: number;
}

/** 2^(bits-1) - 1, the largest level. */
export function topLevel(bits: number): number {
  return 2 ** (bits - 1) - 1;
}

/** Below this sigma, a coordinate leaves (-1, 1) with odds below 1e-19. */
const WITHIN_FIRST_CELLS = 0.11;

/** E[f(1-f)] over the whole line for x ~ N(0, sigma^2). */
function meanOfUnclamped(sigma: number): number {
  if (sigma < WITHIN_FIRST_CELLS) return sigma * Math.sqrt(2 / Math.PI) - sigma * sigma;
  // Fourier: f(1-f) = 1/6 - sum_k cos(2 pi k x) / (pi k)^2, and E cos(2 pi k x) = exp(-2 (pi k sigma)^2).
  let sum = 1 / 6;
  for (let k = 1; ; k += 1) {
    const squared = (Math.PI * k) ** 2;
    const term = Math.exp(-2 * squared * sigma * sigma) / squared;
    sum -= term;
    if (term < 1e-17) return sum;
  }
}

/**
 * From this sigma on the cells beyond L are so narrow that f(1-f) averages to 1/6 there: by Euler-Maclaurin within
 * (L / sigma)^2 / (60 sigma^2), under 1 % of a term that is itself under 1 % of the whole wherever saturation is
 * rare.
 */
const FINE_GRID_SIGMA = 8;

/** E[f(1-f); |x| > level]: what clamping saves of the rounding variance. */
function meanBeyond(sigma: number, level: number, saturatedFraction: number): number {
  if (saturatedFraction < 1e-15) return 0;
  if (sigma > FINE_GRID_SIGMA) return saturatedFraction / 6;
  // Moments of each cell [j, j+1] in closed form: f(1-f) = -x^2 + (2j+1) x - j(j+1).
  let sum = 0;
  let tail = normalUpperTail(level / sigma);
  let density = normalDensity(level / sigma);
  for (let j = level; j < level + 1 || j < 9 * sigma; j += 1) {
    const nextTail = normalUpperTail((j + 1) / sigma);
    const nextDensity = normalDensity((j + 1) / sigma);
    const mass = tail - nextTail;
    const first = sigma * (density - nextDensity);
    const second = sigma * sigma * mass + sigma * (j * density - (j + 1) * nextDensity);
    sum += -second + (2 * j + 1) * first - j * (j + 1) * mass;
    tail = nextTail;
    density = nextDensity;
  }
  return Math.max(0, 2 * sum);
}

/**
 * Errors of one Gaussian coordinate, clamped to +-level and rounded stochastically.
 *
 * @param sigma the coordinate's standard deviation in grid steps, at least 0
 * @param level L = 2^(bits-1) - 1
 */
export function gaussianQuantizationError(sigma: number, level: number): QuantizationError {
  if (sigma === 0) return { rounding: 0, saturation: 0, saturatedFraction: 0 };
  const reach = level / sigma;
  const tail = normalUpperTail(reach);
  // E (|x| - L)^2 over |x| > L; the difference of two near numbers may come out as a negative zero.
  const saturation = 2 * ((sigma * sigma + level * level) * tail - level * sigma * normalDensity(reach));
  return {
    rounding: Math.max(0, meanOfUnclamped(sigma) - meanBeyond(sigma, level, 2 * tail)),
    saturation: Math.max(0, saturation),
    saturatedFraction: 2 * tail,
  };
}

/**
 * The largest E[f(1-f)] of any distribution with this root mean square, for tensors that are not rotated and whose
 * shape nobody knows. As a function of x^2, f(1-f) lies below the concave sqrt(x^2) - x^2 up to 1/4 and below 1/4
 * beyond, so that by Jensen's inequality a coordinate of constant size is the worst.
 */
export function largestRoundingVariance(sigma: number): number {
  return sigma < 0.5 ? sigma * (1 - sigma) : 0.25;
}
