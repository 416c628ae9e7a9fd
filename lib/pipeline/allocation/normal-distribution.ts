/** Density and upper tail of the standard normal distribution, which JavaScript's Math lacks. */

const INVERSE_SQRT_TWO_PI = 0.3989422804014327;
/** From here on the continued fraction needs few terms, and the series loses digits to cancellation. */
const SERIES_END = 3;
/** Levels of the continued fraction: at SERIES_END, where it converges slowest, good for 1e-13. */
const FRACTION_LEVELS = 100;

/** exp(-x^2 / 2) / sqrt(2 pi). */
export function normalDensity(x: number): number {
  return INVERSE_SQRT_TWO_PI * Math.exp((-x * x) / 2);
}

/**
 * P(Z > x), relative error about 1e-12 for 0 <= x <= 37 (beyond, it underflows to 0).
 *
 * Below 3, 1/2 minus the density times the series x + x^3/3 + x^5/(3*5) + ...; above, Laplace's continued fraction
 * density / (x + 1/(x + 2/(x + 3/...))). Source: Marsaglia, "Evaluating the Normal Distribution", J. Stat. Softw.
 * 11 (2004).
 *
 * @param x at least 0; infinity gives 0
 */
export function normalUpperTail(x: number): number {
  if (x >= 38) return 0;
  if (x < SERIES_END) {
    let term = x;
    let sum = x;
    for (let odd = 3; term > sum * 1e-17; odd += 2) {
      term *= (x * x) / odd;
      sum += term;
    }
    return 0.5 - normalDensity(x) * sum;
  }
  let denominator = x;
  for (let level = FRACTION_LEVELS; level >= 1; level -= 1) denominator = x + level / denominator;
  return normalDensity(x) / denominator;
}
