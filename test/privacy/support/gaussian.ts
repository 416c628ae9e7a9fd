/** What the accountant is held against: the continuous Gaussian mechanism, and the conversion solved for delta. */
import type { RdpCurve } from '../../../lib/privacy/rdp.js';

/**
 * Renyi divergence at `order` of the Gaussian mechanism, which no integer mechanism of the same variance beats:
 * `a / (2 z^2)` for the noise multiplier z = standard deviation / sensitivity (Mironov 2017, Corollary 3).
 */
export function gaussianRdp(noiseMultiplier: number, order: number): number {
  return order / (2 * noiseMultiplier * noiseMultiplier);
}

/** The smallest delta, at most 1, for which the curve gives (epsilon, delta). */
export function deltaOf(curve: RdpCurve, epsilon: number): number {
  let logDelta = 0;
  for (const [index, order] of curve.orders.entries()) {
    const rho = curve.values[index] ?? Number.POSITIVE_INFINITY;
    logDelta = Math.min(logDelta, (order - 1) * (rho - epsilon + Math.log1p(-1 / order)) - Math.log(order));
  }
  return Math.exp(logDelta);
}
