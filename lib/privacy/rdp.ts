/**
 * Renyi differential privacy: curves over a grid of orders, their composition, and their conversion to
 * (epsilon, delta). Every order of the grid gives a valid epsilon, so the grid costs tightness, never soundness.
 */
import { ParameterError } from '../errors.js';

/**
 * The orders that curves are evaluated at: 1.1 to 10.9 by 0.1 and 12 to 63, the customary grid, and larger ones,
 * where the optimum lies for an epsilon well below 1.
 */
export const RDP_ORDERS: readonly number[] = [
  ...Array.from({ length: 99 }, (_, index) => (11 + index) / 10),
  ...Array.from({ length: 52 }, (_, index) => 12 + index),
  ...[64, 80, 96, 128, 192, 256, 384, 512, 1024],
];

/** Upper bounds of the Renyi divergence in nats, `values[i]` at order `orders[i]` > 1. */
export interface RdpCurve {
  readonly orders: readonly number[];
  readonly values: readonly number[];
}

/** The curve of `divergence` over `orders`. */
export function rdpCurve(
  divergence: (order: number) => number,
  orders: readonly number[] = RDP_ORDERS,
): RdpCurve {
  return { orders, values: orders.map(divergence) };
}

/** The curve of a mechanism that releases nothing. */
export const NOTHING_RELEASED: RdpCurve = rdpCurve(() => 0);

/**
 * The curve of all mechanisms together, also when each is chosen after seeing what the others released: values add
 * order by order (Mironov 2017, Proposition 1).
 *
 * @throws ParameterError `privacy.bad-curve` unless all have the same orders
 */
export function compose(curves: readonly RdpCurve[]): RdpCurve {
  const [first = NOTHING_RELEASED] = curves;
  for (const { orders, values } of curves) {
    const same = orders.length === first.orders.length && orders.every((a, i) => a === first.orders[i]);
    if (!same || values.length !== orders.length) {
      throw new ParameterError('privacy.bad-curve', 'Curves compose only over the same orders.');
    }
  }
  return {
    orders: first.orders,
    values: first.orders.map((_, index) => curves.reduce((sum, { values }) => sum + (values[index] ?? 0), 0)),
  };
}

/** The curve of `rounds` repetitions. @throws ParameterError `privacy.bad-rounds` unless an integer >= 0 */
export function scale(curve: RdpCurve, rounds: number): RdpCurve {
  if (!Number.isSafeInteger(rounds) || rounds < 0) {
    throw new ParameterError('privacy.bad-rounds', `${rounds} rounds; it must be an integer, 0 or more.`);
  }
  // 0 times an infinite value is no number; nothing released is nothing spent.
  return { orders: curve.orders, values: curve.values.map((value) => (rounds === 0 ? 0 : value * rounds)) };
}

/**
 * The smallest epsilon, never below 0, for which the curve gives (epsilon, delta): `rho + log(1 - 1/a) -
 * log(delta a)/(a - 1)`, minimised over the orders a (Canonne, Kamath, Steinke 2020, Proposition 12).
 *
 * @throws ParameterError `privacy.bad-delta`
 */
export function epsilonOf(curve: RdpCurve, delta: number): number {
  requireDelta(delta);
  let epsilon = Number.POSITIVE_INFINITY;
  for (const [index, order] of curve.orders.entries()) {
    const rho = curve.values[index] ?? Number.POSITIVE_INFINITY;
    // Outputs without divergence do not differ at all, which the conversion misses by a little.
    if (rho === 0) {
      return 0;
    }
    epsilon = Math.min(
      epsilon,
      rho + Math.log1p(-1 / order) - (Math.log(delta) + Math.log(order)) / (order - 1),
    );
  }
  return Math.max(0, epsilon);
}

/** @throws ParameterError `privacy.bad-delta` unless 0 < delta < 1 */
export function requireDelta(delta: number): void {
  if (!(delta > 0 && delta < 1)) {
    throw new ParameterError(
      'privacy.bad-delta',
      `delta is ${delta}; it must lie between 0 and 1, and well below one over the number of clients.`,
    );
  }
}

/** @throws ParameterError `privacy.bad-epsilon` unless finite and >= 0 */
export function requireEpsilon(epsilon: number): void {
  if (!(epsilon >= 0 && Number.isFinite(epsilon))) {
    throw new ParameterError('privacy.bad-epsilon', `epsilon is ${epsilon}; it must be finite, 0 or more.`);
  }
}
