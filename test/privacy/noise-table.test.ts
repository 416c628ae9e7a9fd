import { expect } from 'chai';
import fc from 'fast-check';
import {
  drawsOf,
  LARGEST_DRAW_VARIANCE,
  LARGEST_TABLE,
  type NoiseTable,
  noiseTable,
  totalVariationBound,
} from '../../lib/privacy/noise-table.js';
import { MECHANISMS, type Mechanism } from '../../lib/privacy/release.js';
import { expectRefusal } from '../support/refusals.js';
import { exactProbabilities, ORACLE_BITS } from './support/exact-noise.js';
import { SeededRandom } from './support/seeded-random.js';
import { drawNoise } from './support/simulated-mechanism.js';

const END = 1n << 63n;

/** Weights of |X| = 0, 1, ..., which add up to 2^63. */
function weightsOf({ thresholds }: NoiseTable): bigint[] {
  const bounds = [0n, ...thresholds, END];
  return bounds.slice(1).map((bound, index) => bound - (bounds[index] ?? 0n));
}

/** P(|X| = k), ORACLE_BITS fractional bits, k = 0..last. */
function magnitudes(mechanism: Mechanism, variance: number, draws: number, last: number): bigint[] {
  return exactProbabilities(mechanism, BigInt(variance), BigInt(draws), last).map((p, k) =>
    k === 0 ? p : 2n * p,
  );
}

/** Variance of one sample, relative to what it should be, minus 1, in doubles from exact integers. */
function varianceError(table: NoiseTable, variance: number): number {
  const second = weightsOf(table).reduce((sum, weight, k) => sum + weight * BigInt(k * k), 0n);
  const target = (BigInt(variance) << 63n) / BigInt(table.draws);
  return Number(((second - target) << 60n) / target) / 2 ** 60;
}

describe('the noise table', () => {
  for (const mechanism of MECHANISMS) {
    for (const [variance, draws] of [
      [1, 1],
      [2, 1],
      [7, 1],
      [7, 3],
      [40, 1],
      [100, 7],
      [300, 1],
    ] as const) {
      it(`of ${mechanism} noise, variance ${variance}/${draws}, has every threshold rounded right`, () => {
        const table = noiseTable({ mechanism, variance, draws });
        const exact = magnitudes(mechanism, variance, draws, table.thresholds.length + 40);
        const half = 1n << (ORACLE_BITS - 64n);
        let below = 0n;
        for (const [k, threshold] of table.thresholds.entries()) {
          below += exact[k] ?? 0n;
          const error = (threshold << (ORACLE_BITS - 63n)) - below;
          expect(error <= half && error >= -half, `threshold ${k}`).to.equal(true);
        }
        // The end: less than 2^-64 lies beyond the largest magnitude, which is not true one earlier.
        const tail = 1n << (ORACLE_BITS - 64n);
        const beyond = (1n << ORACLE_BITS) - below;
        expect(beyond >= tail).to.equal(true);
        expect(beyond - (exact[table.thresholds.length] ?? 0n) < tail).to.equal(true);
      });

      it(`of ${mechanism} noise, variance ${variance}/${draws}, is as close as it says, and hardly closer`, () => {
        const table = noiseTable({ mechanism, variance, draws });
        const weights = weightsOf(table);
        const exact = magnitudes(mechanism, variance, draws, weights.length + 200);
        let twice = 0n;
        for (const [k, p] of exact.entries()) {
          const difference = ((weights[k] ?? 0n) << (ORACLE_BITS - 63n)) - p;
          twice += difference < 0n ? -difference : difference;
        }
        const distance = (draws * Number(twice >> (ORACLE_BITS - 190n))) / 2 ** 191;
        expect(table.totalVariation).to.be.at.least(distance * (1 - 1e-14));
        expect(table.totalVariation).to.be.at.most(distance * (1 + 1e-9));
      });
    }

    for (const variance of [1, 25, 1000, 50_000, LARGEST_DRAW_VARIANCE, 1_000_000, 12_345_678]) {
      it(`of ${mechanism} noise has the promised variance ${variance}`, () => {
        const table = noiseTable({ mechanism, variance });
        // Poisson summation: the discrete Gaussian's variance is sigma^2 (1 - 8 pi^2 sigma^2 exp(-2 pi^2 sigma^2)).
        const below = 8 * Math.PI ** 2 * variance * Math.exp(-2 * Math.PI ** 2 * variance);
        expect(varianceError(table, variance)).to.be.closeTo(mechanism === 'skellam' ? 0 : -below, 1e-9);
      });
    }

    it(`of ${mechanism} noise takes well under a second for variance 10^6`, () => {
      const start = performance.now();
      noiseTable({ mechanism, variance: 1_000_000 });
      expect(performance.now() - start).to.be.lessThan(1000);
    });
  }

  it('ascends to below 2^63, in at most 8192 entries, with a distance below its closed bound', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...MECHANISMS),
        fc.oneof(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 2 ** 32 })),
        (mechanism, variance) => {
          const table = noiseTable({ mechanism, variance });
          expect(table.draws).to.equal(drawsOf(variance));
          expect(table.thresholds.length).to.be.within(1, LARGEST_TABLE);
          expect(weightsOf(table).every((weight) => weight >= 0n)).to.equal(true);
          expect((table.thresholds.at(-1) ?? END) < END).to.equal(true);
          expect(table.totalVariation).to.be.greaterThan(0);
          expect(table.totalVariation).to.be.at.most(totalVariationBound(variance));
        },
      ),
      { numRuns: 40 },
    );
  });

  it('is split no earlier than it must be', () => {
    for (const mechanism of MECHANISMS) {
      const { thresholds } = noiseTable({ mechanism, variance: LARGEST_DRAW_VARIANCE });
      expect(thresholds.length).to.be.within(LARGEST_TABLE - 20, LARGEST_TABLE);
    }
    expect([1, LARGEST_DRAW_VARIANCE, LARGEST_DRAW_VARIANCE + 1].map(drawsOf)).to.deep.equal([1, 1, 2]);
  });

  it('drawn from, has mean 0 and the variance of all draws together', () => {
    const random = new SeededRandom(99);
    const runs = 40_000;
    for (const draws of [1, 4]) {
      const table = noiseTable({ mechanism: 'skellam', variance: 36, draws });
      let [sum, squares] = [0, 0];
      for (let run = 0; run < runs; run += 1) {
        const noise = drawNoise(table, random);
        sum += noise;
        squares += noise * noise;
      }
      // Six standard errors.
      expect(Math.abs(sum / runs)).to.be.lessThan((6 * 6) / Math.sqrt(runs));
      expect(squares / runs / 36).to.be.closeTo(1, (6 * Math.SQRT2) / Math.sqrt(runs));
    }
  });

  it('refuses variances and draws that it cannot have', async () => {
    for (const variance of [0, -1, 1.5, Number.NaN, 2 ** 33]) {
      await expectRefusal('privacy.bad-noise', () => noiseTable({ mechanism: 'skellam', variance }));
      await expectRefusal('privacy.bad-noise', () => totalVariationBound(variance));
    }
    for (const draws of [0, 1, 1.5, 3_000_000]) {
      await expectRefusal('privacy.bad-noise', () =>
        noiseTable({ mechanism: 'skellam', variance: 2_000_000, draws }),
      );
    }
    await expectRefusal('privacy.bad-noise', () =>
      noiseTable({ mechanism: 'laplace' as Mechanism, variance: 1 }),
    );
  });
});
