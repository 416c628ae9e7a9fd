import { expect } from 'chai';
import fc from 'fast-check';
import { roundingBound } from '../../lib/privacy/sensitivity.js';
import { expectRefusal } from '../support/refusals.js';
import { lowerBound } from './support/clopper-pearson.js';
import { SeededRandom } from './support/seeded-random.js';
import { roundOnce, squaredNorm } from './support/simulated-mechanism.js';

describe('the sensitivity of rounded vectors', () => {
  it('is the smaller of the two bounds', () => {
    // (3 + 1)^2 = 16 against 9 + 1/4 + (3 + 1/2) = 12.75
    expect(roundingBound({ clip: 3, scale: 1, dimension: 1 }).l2Squared).to.equal(12);
    // (0.1 + 2)^2 = 4.41 against 0.01 + 1 + 6 * (0.1 + 1)
    const tight = roundingBound({ clip: 0.1, scale: 1, dimension: 4, beta: Math.exp(-18) });
    expect(tight).to.deep.equal({ l2Squared: 4, acceptance: 1 });
  });

  it('depends only on the clip in quanta', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: -30, max: 30 }),
        (quanta, exponent) => {
          const dimension = 1000;
          const at = roundingBound({ clip: quanta * 2 ** exponent, scale: 2 ** exponent, dimension });
          expect(at).to.deep.equal(roundingBound({ clip: quanta, scale: 1, dimension }));
        },
      ),
    );
  });

  it('is never below the squared clip, and grows with clip, dimension and 1/beta', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100_000 }),
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.double({ min: 0.001, max: 0.999, noNaN: true }),
        (clip, dimension, beta) => {
          const { l2Squared } = roundingBound({ clip, scale: 1, dimension, beta });
          expect(l2Squared).to.be.at.least(clip * clip);
          expect(roundingBound({ clip: clip + 1, scale: 1, dimension, beta }).l2Squared).to.be.at.least(
            l2Squared,
          );
          expect(roundingBound({ clip, scale: 1, dimension: dimension + 1, beta }).l2Squared).to.be.at.least(
            l2Squared,
          );
          expect(roundingBound({ clip, scale: 1, dimension, beta: beta / 2 }).l2Squared).to.be.at.least(
            l2Squared,
          );
        },
      ),
    );
  });

  for (const [what, vector] of [
    ['all coordinates half a quantum', (d: number) => new Array<number>(d).fill(0.5)],
    ['one large coordinate', (d: number) => [10.5, ...new Array<number>(d - 1).fill(0)]],
    ['coordinates just above a quantum', (d: number) => new Array<number>(d).fill(1.05)],
    ['uneven coordinates', (d: number) => Array.from({ length: d }, (_, i) => ((i % 7) - 3) / 2.2)],
  ] as const) {
    it(`is met by as many roundings as it says: ${what}`, () => {
      const random = new SeededRandom(20_240);
      for (const dimension of [2, 16, 200]) {
        const x = vector(dimension);
        const clip = Math.sqrt(squaredNorm(x));
        const { l2Squared, acceptance } = roundingBound({ clip, scale: 1, dimension });
        expect(acceptance).to.be.at.least(1 - Math.exp(-0.5));
        const runs = 4000;
        let accepted = 0;
        for (let run = 0; run < runs; run += 1) {
          if (squaredNorm(roundOnce(x, 1, random)) <= l2Squared) accepted += 1;
        }
        // What is refuted, with an error of one in a million, is that the true rate is below the promise.
        expect(1 - lowerBound(runs - accepted, runs, 1e-6)).to.be.at.least(acceptance);
      }
    });
  }

  it('is met by every rounding where it says so', () => {
    const random = new SeededRandom(7);
    const { l2Squared, acceptance } = roundingBound({ clip: 0.1, scale: 1, dimension: 4, beta: 1e-8 });
    expect(acceptance).to.equal(1);
    for (let run = 0; run < 4000; run += 1) {
      expect(squaredNorm(roundOnce([0.05, -0.05, 0.05, -0.05], 1, random))).to.be.at.most(l2Squared);
    }
  });

  it('refuses what is no clip, scale, dimension or probability', async () => {
    const good = { clip: 1, scale: 0.01, dimension: 10 };
    for (const change of [
      { clip: 0 },
      { clip: Number.POSITIVE_INFINITY },
      { scale: -1 },
      { scale: Number.NaN },
      { scale: 1e-9 },
      { dimension: 0 },
      { dimension: 1.5 },
      { beta: 0 },
      { beta: 1 },
    ]) {
      await expectRefusal('privacy.bad-rounding', () => roundingBound({ ...good, ...change }));
    }
  });
});
