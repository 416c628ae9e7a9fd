/** How far noise from tables is from the exact mechanism, and how much of that an attacker can aim at one client. */
import { discreteGaussianTau, divergenceOfShift } from './mechanisms.js';
import { totalVariationBound } from './noise-table.js';
import { type Release, requireRelease, requireSamplerDelta } from './release.js';

/**
 * Statistical distance of the noise of one whole release from the exact mechanism: of `honest` clients, `dimension`
 * values each. Further contributors do not add to it: whatever independent noise they send is post-processing.
 *
 * @param totalVariation of one value's noise, from `noiseTable`; by default an upper bound that needs no table
 * @throws ParameterError `privacy.bad-release`, `privacy.bad-sampler-delta`
 */
export function samplerDelta(release: Release, totalVariation?: number): number {
  const { clientVariance, draws, honest, dimension } = requireRelease(release);
  const distance = totalVariation ?? totalVariationBound(clientVariance, draws);
  requireSamplerDelta(distance);
  return Math.min(1, honest * dimension * distance);
}

/** Hoelder exponents that are tried: integers, because Skellam's bound is proved at those. */
const EXPONENTS = Array.from({ length: 40 }, (_, index) => [2 ** (index + 1), 3 * 2 ** index]).flat();

/** Cells of shifts that are bounded by their ends. */
const CELL_RATIO = 1.25;

/**
 * The expected deficit of the table, `E[sum_j B_j(y_j)]`, when the release is shifted by any one client's integers.
 *
 * B_j(y) in [0, 1] is the expected share of exact probability that the table lacks for value j of the output, given
 * that it is y; without a shift its mean is at most t = samplerDelta / dimension. Under a shift by m quanta, Hoelder's
 * inequality bounds the mean by `t g(m)`, `g(m) = min_a exp((1 - 1/a) D_a(m) + log(1/t)/a)`, with the divergence D_a of
 * one value. A client shifts K values by integers whose squares add up to l2Squared at most, hence
 * `sum <= t (K + l2Squared max_m (g(m) - 1)/m^2)`. docs/privacy.md has the argument in full.
 *
 * @param sampler the release's {@link samplerDelta}
 * @throws ParameterError `privacy.bad-release`, `privacy.bad-sampler-delta`
 */
export function shiftedDelta(release: Release, sampler: number): number {
  const { dimension, l2Squared, honest, mechanism, clientVariance, draws } = requireRelease(release);
  requireSamplerDelta(sampler);
  if (sampler === 0) {
    return 0;
  }
  const each = sampler / dimension;
  const tau = mechanism === 'skellam' ? 0 : discreteGaussianTau(clientVariance / draws, honest * draws);
  const gain = (shift: number): number =>
    EXPONENTS.reduce((least, a) => {
      const divergence = divergenceOfShift(release, tau, shift, a);
      return Math.min(least, (1 - 1 / a) * divergence - Math.log(each) / a);
    }, Number.POSITIVE_INFINITY);
  const largest = Math.sqrt(l2Squared);
  let steepest = 0;
  // gain grows with the shift: its value at a cell's end over the square of its start bounds the cell.
  for (let start = 1; start <= largest; ) {
    const end = Math.max(start + 1, start * CELL_RATIO);
    steepest = Math.max(steepest, Math.expm1(gain(Math.min(end, largest))) / (start * start));
    start = end;
  }
  return each * (dimension + l2Squared * steepest);
}
