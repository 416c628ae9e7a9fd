import { expect } from 'chai';
import fc from 'fast-check';
import { compose, epsilonOf, RDP_ORDERS, rdpCurve, requireEpsilon, scale } from '../../lib/privacy/rdp.js';
import { expectRefusal } from '../support/refusals.js';
import { deltaOf, gaussianRdp } from './support/gaussian.js';

/** The orders that the reference values are for. */
const CUSTOMARY_ORDERS = RDP_ORDERS.filter((order) => order < 64);

/**
 * Renyi divergence of q N(1, s^2) + (1 - q) N(0, s^2) from N(0, s^2), by the trapezoidal rule, which converges faster
 * than any power for such integrands; holds at every order, unlike the binomial sum.
 */
function sampledGaussianByIntegral(sigma: number, rate: number, order: number): number {
  const step = sigma / 250;
  const logs: number[] = [];
  for (let z = -20 * sigma; z < order + 20 * sigma; z += step) {
    const ratio = Math.log(1 - rate + rate * Math.exp((2 * z - 1) / (2 * sigma * sigma)));
    logs.push(-(z * z) / (2 * sigma * sigma) - Math.log(2 * Math.PI * sigma * sigma) / 2 + order * ratio);
  }
  const largest = logs.reduce((a, b) => Math.max(a, b));
  const sum = logs.reduce((total, log) => total + Math.exp(log - largest), 0);
  return (largest + Math.log(sum * step)) / (order - 1);
}

/** The same by the binomial sum, at integer orders. */
function sampledGaussianBySum(sigma: number, rate: number, order: number): number {
  let logBinomial = 0;
  let sum = 0;
  for (let k = 0; k <= order; k += 1) {
    sum += Math.exp(
      logBinomial + (order - k) * Math.log1p(-rate) + k * Math.log(rate) + (k * k - k) / (2 * sigma * sigma),
    );
    logBinomial += Math.log((order - k) / (k + 1));
  }
  return Math.log(sum) / (order - 1);
}

describe('the Renyi accountant', () => {
  for (const { sigma, rate, steps, delta, epsilon, tolerance } of [
    { sigma: 1.5, rate: 0.04, steps: 2250, delta: 1e-5, epsilon: 7.32911117143, tolerance: 1e-9 },
    { sigma: 1, rate: 0.01, steps: 1000, delta: 1e-5, epsilon: 2.10137, tolerance: 6e-6 },
    { sigma: 1.1, rate: 256 / 60_000, steps: 14_062, delta: 1e-5, epsilon: 2.59656, tolerance: 6e-6 },
    { sigma: 2, rate: 0.1, steps: 100, delta: 1e-6, epsilon: 2.91417, tolerance: 6e-6 },
  ]) {
    it(`gives the published epsilon ${epsilon} for noise ${sigma}, sampling ${rate}, ${steps} steps`, () => {
      const one = rdpCurve((order) => sampledGaussianByIntegral(sigma, rate, order), CUSTOMARY_ORDERS);
      expect(epsilonOf(scale(one, steps), delta)).to.be.closeTo(epsilon, tolerance);
    });
  }

  for (const { sigma, steps, delta, epsilon } of [
    { sigma: 4, steps: 100, delta: 1e-6, epsilon: 15.32798 },
    { sigma: 1, steps: 1, delta: 1e-5, epsilon: 4.72851 },
  ]) {
    it(`gives the published epsilon ${epsilon} for noise ${sigma} without sampling`, () => {
      const one = rdpCurve((order) => gaussianRdp(sigma, order));
      expect(epsilonOf(scale(one, steps), delta)).to.be.closeTo(epsilon, 6e-6);
    });
  }

  it('gives epsilon 1 for noise 4.530877117 at delta 1e-6, over dense orders', () => {
    const dense = Array.from({ length: 100_000 }, (_, index) => 1.001 + index / 1000);
    const curve = rdpCurve((order) => gaussianRdp(4.530877117, order), dense);
    expect(epsilonOf(curve, 1e-6)).to.be.closeTo(1, 1e-6);
    const grid = epsilonOf(
      rdpCurve((order) => gaussianRdp(4.530877117, order)),
      1e-6,
    );
    expect(grid).to.be.within(1, 1.001);
  });

  it('is tested against an integral that agrees with the binomial sum at integer orders', () => {
    for (const order of [2, 3, 8, 10, 16]) {
      const integral = sampledGaussianByIntegral(1.5, 0.04, order);
      expect(integral).to.be.closeTo(sampledGaussianBySum(1.5, 0.04, order), 1e-9);
    }
  });

  it('has the customary orders, and larger ones that pay off for a small epsilon', () => {
    expect(RDP_ORDERS.slice(0, 3)).to.deep.equal([1.1, 1.2, 1.3]);
    expect(RDP_ORDERS).to.include.members([10.9, 12, 63, 64, 1024]);
    const small = (orders: readonly number[]) =>
      epsilonOf(
        rdpCurve((order) => gaussianRdp(100, order), orders),
        1e-6,
      );
    expect(small(RDP_ORDERS)).to.be.lessThan(small(CUSTOMARY_ORDERS) * 0.7);
  });

  const noise = fc.double({ min: 0.1, max: 1000, noNaN: true });
  const delta = fc.double({ min: 1e-12, max: 0.5, noNaN: true });

  it('asks for no less epsilon after more rounds, with less noise, or at a smaller delta', () => {
    fc.assert(
      fc.property(noise, fc.integer({ min: 0, max: 10_000 }), delta, (sigma, rounds, probability) => {
        const one = rdpCurve((order) => gaussianRdp(sigma, order));
        const less = rdpCurve((order) => gaussianRdp(sigma / 1.1, order));
        const epsilon = epsilonOf(scale(one, rounds), probability);
        expect(epsilonOf(scale(one, rounds + 1), probability)).to.be.at.least(epsilon);
        expect(epsilonOf(scale(less, rounds), probability)).to.be.at.least(epsilon);
        expect(epsilonOf(scale(one, rounds), probability / 2)).to.be.at.least(epsilon);
        expect(epsilon).to.be.at.least(0);
      }),
    );
  });

  it('composes k equal curves to the curve of k rounds, and to less than k times the epsilon', () => {
    fc.assert(
      fc.property(noise, fc.integer({ min: 1, max: 8 }), (sigma, rounds) => {
        const one = rdpCurve((order) => gaussianRdp(sigma, order));
        const composed = epsilonOf(compose(new Array(rounds).fill(one)), 1e-5);
        expect(composed).to.be.closeTo(epsilonOf(scale(one, rounds), 1e-5), composed * 1e-12 + 1e-12);
        expect(composed).to.be.at.most(rounds * epsilonOf(one, 1e-5) * (1 + 1e-12));
      }),
    );
  });

  it('gives back delta for its epsilon', () => {
    fc.assert(
      fc.property(noise, delta, (sigma, probability) => {
        const curve = rdpCurve((order) => gaussianRdp(sigma, order));
        const epsilon = epsilonOf(curve, probability);
        fc.pre(epsilon > 0);
        expect(deltaOf(curve, epsilon) / probability).to.be.closeTo(1, 1e-6);
      }),
    );
  });

  it('spends nothing for nothing', () => {
    expect(epsilonOf(compose([]), 1e-5)).to.equal(0);
    const unbounded = rdpCurve(() => Number.POSITIVE_INFINITY);
    expect(epsilonOf(scale(unbounded, 0), 1e-5)).to.equal(0);
    expect(epsilonOf(unbounded, 1e-5)).to.equal(Number.POSITIVE_INFINITY);
  });

  it('refuses what is no delta, epsilon, number of rounds or common grid', async () => {
    const curve = rdpCurve((order) => order);
    for (const bad of [0, 1, -1, 2, Number.NaN]) {
      await expectRefusal('privacy.bad-delta', () => epsilonOf(curve, bad));
    }
    for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
      await expectRefusal('privacy.bad-epsilon', () => requireEpsilon(bad));
    }
    for (const bad of [-1, 0.5, Number.NaN]) {
      await expectRefusal('privacy.bad-rounds', () => scale(curve, bad));
    }
    await expectRefusal('privacy.bad-curve', () => compose([curve, rdpCurve((order) => order, [2, 3])]));
  });
});
