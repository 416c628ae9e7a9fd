import { expect } from 'chai';
import fc from 'fast-check';
import {
  discreteGaussianTau,
  distributedDiscreteGaussianRdp,
  releaseRdp,
  skellamRdp,
} from '../../lib/privacy/mechanisms.js';
import { RDP_ORDERS } from '../../lib/privacy/rdp.js';
import { l1Bound } from '../../lib/privacy/release.js';
import { expectRefusal } from '../support/refusals.js';
import { convolve, renyiOfShift, symmetricProbabilities } from './support/exact-noise.js';
import { gaussianRdp } from './support/gaussian.js';
import { anyRelease, release } from './support/releases.js';

describe('the divergence of the Skellam mechanism', () => {
  it('has the values of Agarwal, Kairouz and Liu, Corollary 4.1', () => {
    const noise = { variance: 100, l2Squared: 1, l1: 1 };
    expect(skellamRdp(noise, 2)).to.be.closeTo(0.010225, 1e-12);
    expect(skellamRdp(noise, 10)).to.be.closeTo(0.050625, 1e-12);
  });

  for (const variance of [2, 10, 60]) {
    it(`is no less than the exact divergence for variance ${variance}, at every order up to 64`, () => {
      const probabilities = symmetricProbabilities(
        'skellam',
        variance,
        60 + Math.ceil(30 * Math.sqrt(variance)),
      );
      for (const shift of [1, 2, 5]) {
        for (const order of RDP_ORDERS.filter((a) => a <= 64)) {
          const exact = renyiOfShift(probabilities, shift, order);
          const bound = skellamRdp({ variance, l2Squared: shift * shift, l1: shift }, order);
          expect(bound, `order ${order}, shift ${shift}`).to.be.at.least(exact * (1 - 1e-9));
        }
      }
    });
  }
});

describe('the divergence of the distributed discrete Gaussian', () => {
  it('has the value of Kairouz, Liu and Steinke, Proposition 14, where single noises are small', () => {
    const noise = { variance: 1, summands: 100, l2Squared: 100, dimension: 1_000_000 };
    expect(distributedDiscreteGaussianRdp(noise, 4)).to.be.closeTo(4.791, 5e-4);
    expect(distributedDiscreteGaussianRdp({ ...noise, variance: 100, l2Squared: 10_000 }, 4)).to.be.closeTo(
      2,
      1e-9,
    );
  });

  for (const [variance, summands] of [
    [1, 2],
    [1, 3],
    [4, 2],
    [9, 1],
  ] as const) {
    it(`is no less than the exact divergence of ${summands} of variance ${variance}`, () => {
      const one = symmetricProbabilities('discrete-gaussian', variance, 30 * Math.sqrt(variance));
      let sum = one;
      for (let i = 1; i < summands; i += 1) sum = convolve(sum, one);
      for (const shift of [1, 2]) {
        for (const order of RDP_ORDERS.filter((a) => a <= 8)) {
          const exact = renyiOfShift(sum, shift, order);
          const bound = distributedDiscreteGaussianRdp(
            { variance, summands, l2Squared: shift * shift, dimension: 1 },
            order,
          );
          expect(bound, `order ${order}, shift ${shift}`).to.be.at.least(exact * (1 - 1e-9));
        }
      }
    });
  }

  it('bounds tau from above where it does not add every term', () => {
    const exact = (variance: number, n: number) => {
      let sum = 0;
      for (let k = n - 1; k >= 1; k -= 1) sum += Math.exp((-2 * Math.PI ** 2 * variance * k) / (k + 1));
      return 10 * sum;
    };
    for (const n of [1, 2, 3, 100_001, 300_000]) {
      const tau = discreteGaussianTau(1, n);
      expect(tau).to.be.within(exact(1, n) * (1 - 1e-9), exact(1, n) * 1.001 + 1e-300);
    }
    expect(discreteGaussianTau(1, 1)).to.equal(0);
  });

  it('is refused below a standard deviation of half a quantum, where the proof ends', async () => {
    await expectRefusal('privacy.bad-noise', () => discreteGaussianTau(0.24, 2));
    expect(discreteGaussianTau(0.25, 2)).to.be.greaterThan(0);
  });
});

describe('the divergence of a release', () => {
  it('is never below that of a continuous Gaussian of the same variance', () => {
    fc.assert(
      fc.property(anyRelease, (any) => {
        const multiplier = Math.sqrt((any.honest * any.clientVariance) / any.l2Squared);
        const curve = releaseRdp(any);
        for (const [index, order] of curve.orders.entries()) {
          expect(curve.values[index]).to.be.at.least(gaussianRdp(multiplier, order) * (1 - 1e-12));
        }
      }),
    );
  });

  it('does not grow with more noise or more honest clients, nor shrink with sensitivity or dimension', () => {
    fc.assert(
      fc.property(anyRelease, (any) => {
        const base = releaseRdp(any).values;
        const compare = (change: Partial<typeof any>, sign: number) => {
          // Each honest discrete Gaussian more adds its own tau; above half a quantum by far, that is nothing.
          const other = releaseRdp({ ...any, ...change }).values;
          for (const [index, value] of base.entries()) {
            expect(sign * ((other[index] ?? 0) - value)).to.be.at.least(-1e-9 * value);
          }
        };
        compare({ clientVariance: any.clientVariance + 1 }, -1);
        compare({ l2Squared: any.l2Squared + 1 }, 1);
        compare({ dimension: any.dimension + 1 }, 1);
        if (any.mechanism === 'skellam') compare({ honest: any.honest + 1 }, -1);
      }),
    );
  });

  it('does not decrease with the order', () => {
    fc.assert(
      fc.property(anyRelease, (any) => {
        const { values } = releaseRdp(any);
        for (const [index, value] of values.slice(1).entries()) {
          expect(value).to.be.at.least((values[index] ?? 0) * (1 - 1e-12));
        }
      }),
    );
  });

  it('counts how many samples a discrete Gaussian is the sum of; a Skellam is exactly that sum', () => {
    const small = { clientVariance: 4, l2Squared: 4, dimension: 1_000_000 };
    const at = (mechanism: 'skellam' | 'discrete-gaussian', draws: number) =>
      releaseRdp(release({ ...small, mechanism, draws })).values[10] ?? 0;
    expect(at('skellam', 4)).to.equal(at('skellam', 1));
    expect(at('discrete-gaussian', 4)).to.be.greaterThan(at('discrete-gaussian', 1));
  });

  it('takes the smaller bound of the L1 norm of integers', () => {
    expect(l1Bound(9, 1_000_000)).to.equal(9);
    expect(l1Bound(1_000_000, 4)).to.equal(2000);
  });

  it('refuses what is no release', async () => {
    for (const change of [
      { clientVariance: 0.5 },
      { clientVariance: 1.5 },
      { clientVariance: -4 },
      { clientVariance: 2 ** 33 },
      { clientVariance: Number.NaN },
      { honest: 0 },
      { l2Squared: 0 },
      { dimension: -1 },
      { draws: 0 },
      { draws: 20_000 },
      { mechanism: 'laplace' as 'skellam' },
      { extra: 1 } as object,
    ]) {
      await expectRefusal('privacy.bad-release', () => releaseRdp(release(change)));
    }
  });
});
