import { expect } from 'chai';
import fc from 'fast-check';
import { mcNemarExact, pairedDifferenceInterval } from '../../../lib/evaluation/statistics/paired-rates.js';
import { choose } from '../support/exact-binomial.js';

const counts = fc.tuple(fc.nat(60), fc.nat(60), fc.nat(200)).map(([onlyFirst, onlySecond, alike]) => ({
  onlyFirst,
  onlySecond,
  pairs: Math.max(1, onlyFirst + onlySecond + alike),
}));

/**
 * How often the upper limit of the loss is below the true loss: over all splits, the first alone managing a share
 * (differing + loss) / 2 of the pairs and the second alone (differing - loss) / 2.
 */
function upperError(pairs: number, loss: number, differing: number, limitError: number): number {
  const [first, second] = [(differing + loss) / 2, (differing - loss) / 2];
  const logFactorials = [0];
  for (let i = 1; i <= pairs; i += 1) logFactorials.push((logFactorials[i - 1] as number) + Math.log(i));
  const factorial = (i: number): number => logFactorials[i] as number;
  const power = (rate: number, k: number): number => (k === 0 ? 0 : k * Math.log(rate));
  let error = 0;
  for (let a = 0; a <= pairs; a += 1) {
    for (let b = 0; a + b <= pairs; b += 1) {
      const log =
        factorial(pairs) -
        factorial(a) -
        factorial(b) -
        factorial(pairs - a - b) +
        power(first, a) +
        power(second, b) +
        power(1 - differing, pairs - a - b);
      if (log < -25) continue;
      const { upper } = pairedDifferenceInterval({ onlyFirst: a, onlySecond: b, pairs }, limitError);
      if (upper < loss) error += Math.exp(log);
    }
  }
  return error;
}

describe('the difference of paired rates', () => {
  it('has the published limits of Tango', () => {
    for (const [onlyFirst, onlySecond, pairs, limitError, lower, upper, digits] of [
      // Airway hyper-responsiveness (Fagerland, Lydersen, Laake, Statistics in Medicine 33, 2014).
      [1, 7, 21, 0.025, -0.517, -0.026, 3],
      // PropCIs::scoreci.mp(25, 28, 618), 90 %.
      [28, 25, 618, 0.05, -0.0148, 0.0247, 4],
    ] as const) {
      const interval = pairedDifferenceInterval({ onlyFirst, onlySecond, pairs }, limitError);
      expect(interval.lower.toFixed(digits)).to.equal(lower.toFixed(digits));
      expect(interval.upper.toFixed(digits)).to.equal(upper.toFixed(digits));
    }
  });

  it('is mirrored when the two change places, and contains the estimate', () => {
    fc.assert(
      fc.property(counts, ({ onlyFirst, onlySecond, pairs }) => {
        const interval = pairedDifferenceInterval({ onlyFirst, onlySecond, pairs }, 0.05);
        const mirrored = pairedDifferenceInterval(
          { onlyFirst: onlySecond, onlySecond: onlyFirst, pairs },
          0.05,
        );
        expect(interval.lower).to.be.closeTo(-mirrored.upper, 1e-9);
        expect(interval.upper).to.be.closeTo(-mirrored.lower, 1e-9);
        const estimate = (onlyFirst - onlySecond) / pairs;
        expect(estimate).to.be.within(interval.lower - 1e-12, interval.upper + 1e-12);
        expect(interval.lower).to.be.at.least(-1);
        expect(interval.upper).to.be.at.most(1);
      }),
    );
  });

  it('says little where nothing differs in few pairs, and nothing is certain where all differ', () => {
    const alike = pairedDifferenceInterval({ onlyFirst: 0, onlySecond: 0, pairs: 20 }, 0.05);
    expect(alike.upper).to.be.within(0.1, 0.2);
    const opposite = pairedDifferenceInterval({ onlyFirst: 30, onlySecond: 0, pairs: 30 }, 0.05);
    expect(opposite.upper).to.be.closeTo(1, 1e-12);
    expect(opposite.lower).to.be.within(0.8, 0.95);
  });

  it('is too optimistic by no more than docs/evaluation.md says: exact enumeration', () => {
    let worst = 0;
    for (const [pairs, loss] of [
      [50, 0.03],
      [100, 0.05],
      [200, 0.03],
    ] as const) {
      for (const differing of [loss, 1.25 * loss, 2 * loss, 0.2]) {
        worst = Math.max(worst, upperError(pairs, loss, differing, 0.05));
      }
    }
    // The worst case is a candidate that only loses: 200 pairs, 3 %.
    expect(worst).to.be.within(0.055, 0.0595);
  });

  it('at the level of one of four looks is too optimistic by next to nothing', () => {
    for (const differing of [0.05, 0.1, 0.3]) {
      expect(upperError(100, 0.05, differing, 0.0125)).to.be.at.most(0.0128);
    }
  });
});

describe("McNemar's exact test", () => {
  it('has the published p-value', () => {
    // The same table: exact conditional test, p = 0.070.
    expect(mcNemarExact({ onlyFirst: 1, onlySecond: 7, pairs: 21 })).to.be.closeTo(18 / 256, 1e-12);
  });

  it('is twice the smaller tail of fair coins, at most 1', () => {
    fc.assert(
      fc.property(counts, ({ onlyFirst, onlySecond, pairs }) => {
        const differing = onlyFirst + onlySecond;
        let ways = 0n;
        for (let k = 0; k <= Math.min(onlyFirst, onlySecond); k += 1) ways += choose(differing, k);
        const exact = Math.min(1, Number(2n * ways) / 2 ** differing);
        expect(mcNemarExact({ onlyFirst, onlySecond, pairs })).to.be.closeTo(exact, 1e-12);
      }),
    );
  });
});
