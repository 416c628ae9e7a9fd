import { expect } from 'chai';
import fc from 'fast-check';
import { betaDistribution, betaQuantile } from '../../../lib/evaluation/statistics/beta.js';
import { gammaDistribution, gammaQuantile, logGamma } from '../../../lib/evaluation/statistics/gamma.js';
import { normalUpperQuantile } from '../../../lib/evaluation/statistics/normal.js';
import { binomialProbability } from '../support/exact-binomial.js';

/** Relative; values computed with SciPy 1.x (`special.betainc`, `gammainc`, `gammaln`, `stats.norm.isf`). */
function expectClose(actual: number, expected: number, relative = 1e-11): void {
  expect(Math.abs(actual - expected)).to.be.at.most(relative * Math.abs(expected));
}

describe('distributions', () => {
  for (const [a, b, x, expected] of [
    [0.5, 0.5, 0.25, 1 / 3],
    [2, 3, 0.4, 0.5248],
    [80, 21, 0.75, 0.14883105044299128],
    [800, 200, 0.79, 0.2128457453853501],
    [1, 1000, 1e-4, 0.09516710644145375],
    [30.5, 0.7, 0.99, 0.5754788154180597],
  ] as const) {
    it(`have the known value of the beta distribution (${a}, ${b}) at ${x}`, () => {
      expectClose(betaDistribution(a, b, x), expected);
    });
  }

  for (const [shape, x, expected] of [
    [0.3, 0.1, 0.5459128495917965],
    [1, 1, 1 - Math.exp(-1)],
    [5.5, 3.2, 0.1546124631619805],
    [40, 55, 0.9853028204736023],
    [300, 280, 0.12260728267114329],
    [0.5, 12, 0.9999990366429914],
  ] as const) {
    it(`have the known value of the gamma distribution (${shape}) at ${x}`, () => {
      expectClose(gammaDistribution(shape, x), expected);
    });
  }

  it('have known log gammas, and factorials', () => {
    for (const [x, expected] of [
      [0.1, 2.252712651734206],
      [0.5, Math.log(Math.PI) / 2],
      [100.25, 360.28455963776423],
      [5000, 37582.62631568535],
    ] as const) {
      expectClose(logGamma(x), expected, 1e-13);
    }
    let factorial = 0;
    for (let n = 2; n <= 170; n += 1) {
      factorial += Math.log(n);
      expectClose(logGamma(n + 1), factorial, 1e-13);
    }
  });

  it('have the normal quantiles that every table has', () => {
    for (const [tail, expected] of [
      [0.4, 0.2533471031357997],
      [0.05, 1.6448536269514729],
      [0.025, 1.9599639845400545],
      [0.0125, 2.241402727604945],
      [1e-4, 3.7190164854556804],
      [1e-9, 5.9978070150076865],
    ] as const) {
      expectClose(normalUpperQuantile(tail), expected);
    }
  });

  it('agree with exact binomial tails: P(B >= k) is a value of the beta distribution', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }).map((x) => x / 256),
        (n, any, rate) => {
          const k = 1 + (any % n);
          const exact = binomialProbability(n, rate, k, n);
          expect(betaDistribution(k, n - k + 1, rate)).to.be.closeTo(exact, 1e-12);
        },
      ),
    );
  });

  it('have quantiles that invert them', () => {
    const shape = fc.double({ min: 1, max: 2000, noNaN: true });
    const probability = fc.double({ min: 1e-6, max: 1 - 1e-6, noNaN: true });
    fc.assert(
      fc.property(shape, shape, probability, (a, b, p) => {
        expect(gammaDistribution(a, gammaQuantile(a, p))).to.be.closeTo(p, 1e-9);
        const x = betaQuantile(a, b, p);
        // Next to 1 doubles are too far apart for more.
        if (x < 1 - 1e-9) expect(betaDistribution(a, b, x)).to.be.closeTo(p, 1e-6);
      }),
    );
  });
});
