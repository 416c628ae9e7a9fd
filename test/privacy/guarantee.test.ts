import { expect } from 'chai';
import fc from 'fast-check';
import {
  addExpense,
  type Expense,
  expenseEpsilon,
  expenseOf,
  MOST_ROUNDS,
  NOTHING_SPENT,
  roundsWithin,
} from '../../lib/privacy/guarantee.js';
import { releaseRdp } from '../../lib/privacy/mechanisms.js';
import { noiseTable } from '../../lib/privacy/noise-table.js';
import { epsilonOf } from '../../lib/privacy/rdp.js';
import { MECHANISMS, type Mechanism } from '../../lib/privacy/release.js';
import { samplerDelta, shiftedDelta } from '../../lib/privacy/sampler-distance.js';
import { expectRefusal } from '../support/refusals.js';
import { convolve, symmetricProbabilities } from './support/exact-noise.js';
import { anyRelease, release } from './support/releases.js';

/** |X| of a distribution on -last..last, rounded to multiples of 2^-bits as the product rounds to 2^-63. */
function coarse(exact: readonly number[], bits: number): number[] {
  const last = (exact.length - 1) / 2;
  const out = new Array<number>(exact.length).fill(0);
  let [below, previous] = [0, 0];
  for (let k = 0; k <= last; k += 1) {
    const p = exact[last + k] ?? 0;
    below += k === 0 ? p : 2 * p;
    const threshold = k === last ? 1 : Math.min(1, Math.round(below * 2 ** bits) / 2 ** bits);
    out[last + k] = k === 0 ? threshold : (threshold - previous) / 2;
    out[last - k] = out[last + k] ?? 0;
    previous = threshold;
  }
  return out;
}

const distance = (p: readonly number[], q: readonly number[]): number =>
  p.reduce((sum, value, index) => sum + Math.abs(value - (q[index] ?? 0)), 0) / 2;

/** The smallest delta at epsilon for a distribution against itself shifted, by definition. */
function exactDelta(p: readonly number[], shift: number, epsilon: number): number {
  let sum = 0;
  for (let k = -shift; k < p.length; k += 1) {
    sum += Math.max(0, (p[k + shift] ?? 0) - Math.exp(epsilon) * (p[k] ?? 0));
  }
  return sum;
}

describe('the guarantee of noise from tables', () => {
  it('is that of the exact mechanism where the tables are exact', () => {
    expect(expenseEpsilon(expenseOf(release(), 0), 1e-5)).to.equal(epsilonOf(releaseRdp(release()), 1e-5));
  });

  for (const mechanism of MECHANISMS) {
    for (const honest of [1, 2]) {
      it(`holds by the definition of privacy for tables of few bits: ${mechanism}, ${honest} clients`, () => {
        const clientVariance = 16;
        const exact = symmetricProbabilities(mechanism, clientVariance, 80);
        const sumOf = (p: readonly number[]) => (honest === 1 ? [...p] : convolve(p, p));
        let proved = 0;
        for (const bits of [12, 16, 20, 24, 30]) {
          const table = coarse(exact, bits);
          for (const shift of [1, 2, 4, 8]) {
            const one = release({
              mechanism,
              clientVariance,
              honest,
              l2Squared: shift * shift,
              dimension: 1,
            });
            const spent = expenseOf(one, samplerDelta(one, distance(table, exact) + 1e-15));
            for (const delta of [1e-2, 1e-4, 1e-6]) {
              const epsilon = expenseEpsilon(spent, delta);
              if (epsilon === Number.POSITIVE_INFINITY) continue;
              proved += 1;
              const real = exactDelta(sumOf(table), shift, epsilon);
              expect(real, `${bits} bits, shift ${shift}`).to.be.at.most(delta);
            }
          }
        }
        expect(proved).to.be.greaterThan(20);
      });

      it(`bounds the deficit under any shift: ${mechanism}, ${honest} clients`, () => {
        const clientVariance = 16;
        const exact = symmetricProbabilities(mechanism, clientVariance, 80);
        for (const bits of [10, 16, 24]) {
          const table = coarse(exact, bits);
          // Mass that the table lacks for output y, by the first of the samples that lacks it.
          const lacking = exact.map((p, k) => Math.max(0, p - (table[k] ?? 0)));
          const sum = honest === 1 ? exact : convolve(exact, exact);
          const deficit = honest === 1 ? lacking : convolve(lacking, exact).map((value) => 2 * value);
          for (const shift of [1, 3, 8]) {
            const one = release({
              mechanism,
              clientVariance,
              honest,
              l2Squared: shift * shift,
              dimension: 1,
            });
            const bound = shiftedDelta(one, samplerDelta(one, distance(table, exact)));
            let real = 0;
            for (let y = shift; y < sum.length; y += 1) {
              const q = sum[y] ?? 0;
              if (q > 0) real += (sum[y - shift] ?? 0) * Math.min(1, (deficit[y] ?? 0) / q);
            }
            expect(bound, `${bits} bits, shift ${shift}`).to.be.at.least(real * (1 - 1e-6));
          }
        }
      });
    }
  }

  it('is not proved by taking the distance out of delta once', () => {
    // Two values that never occur: where one is the output, the neighbour is ruled out.
    const exact = symmetricProbabilities('discrete-gaussian', 16, 80);
    const [shift, last, delta] = [8, 80, 0.02];
    const table = exact.map((p, index) => (Math.abs(index - last) === 10 ? 0 : p));
    const lost = 2 * (exact[last + 10] ?? 0);
    table[last] = (table[last] ?? 0) + lost;
    const one = release({
      ...{ mechanism: 'discrete-gaussian', clientVariance: 16, honest: 1 },
      ...{ l2Squared: 64, dimension: 1 },
    });
    expect(lost).to.be.lessThan(delta / 2);
    const once = epsilonOf(releaseRdp(one), delta - lost);
    expect(exactDelta(table, shift, once)).to.be.greaterThan(4 * delta);
    expect(expenseEpsilon(expenseOf(one, samplerDelta(one, lost)), delta)).to.equal(Number.POSITIVE_INFINITY);
  });

  it('does not improve with a larger distance, and is none where the distance alone takes delta', () => {
    const at = [0, 1e-12, 1e-9, 1e-7, 1e-6, 4e-6].map((d) => expenseEpsilon(expenseOf(release(), d), 1e-5));
    expect([...at].sort((a, b) => a - b)).to.deep.equal(at);
    expect(expenseEpsilon(expenseOf(release(), 1e-5), 1e-5)).to.equal(Number.POSITIVE_INFINITY);
  });

  it('costs little for a million values and an epsilon near 10, over a hundred rounds', () => {
    for (const mechanism of MECHANISMS) {
      const million = release({
        ...{ mechanism, clientVariance: 20_000_000, draws: 25, honest: 3 },
        ...{ l2Squared: 1_250_000, dimension: 1_000_000 },
      });
      const table = noiseTable({ mechanism, variance: million.clientVariance });
      expect(table.draws).to.equal(million.draws);
      const epsilonWith = (sampler: number) =>
        expenseEpsilon(addExpense(NOTHING_SPENT, expenseOf(million, sampler), 100), 1e-5);
      expect(epsilonWith(0)).to.be.within(6, 12);
      expect(epsilonWith(samplerDelta(million, table.totalVariation)) - epsilonWith(0)).to.be.within(0, 1);
    }
  });

  it('counts the distance of every value of every honest client', () => {
    const table = noiseTable({ mechanism: 'skellam', variance: 10_000 });
    const exact = samplerDelta(release(), table.totalVariation);
    expect(exact).to.be.closeTo(5 * 100 * table.totalVariation, exact * 1e-12);
    expect(samplerDelta(release())).to.be.within(exact, 10 * exact);
    expect(samplerDelta(release({ dimension: 2 ** 50, honest: 2 ** 40 }), 1)).to.equal(1);
  });

  it('refuses distances that are none', async () => {
    for (const bad of [-1e-9, 2, Number.NaN]) {
      await expectRefusal('privacy.bad-sampler-delta', () => samplerDelta(release(), bad));
      await expectRefusal('privacy.bad-sampler-delta', () => shiftedDelta(release(), bad));
      await expectRefusal('privacy.bad-sampler-delta', () => expenseOf(release(), bad));
    }
    await expectRefusal('privacy.bad-delta', () => expenseEpsilon(NOTHING_SPENT, 1));
    await expectRefusal('privacy.bad-rounds', () => addExpense(NOTHING_SPENT, NOTHING_SPENT, 0.5));
    await expectRefusal('privacy.bad-release', () =>
      shiftedDelta(release({ mechanism: 'x' as Mechanism }), 0),
    );
  });
});

describe('the number of rounds that fit', () => {
  it('is the largest that composition allows', () => {
    fc.assert(
      fc.property(
        anyRelease,
        anyRelease,
        fc.double({ min: 0.01, max: 8, noNaN: true }),
        (earlier, next, epsilon) => {
          const spent = expenseOf(earlier);
          const expense = expenseOf(next);
          const rounds = roundsWithin(spent, expense, { epsilon, delta: 1e-5 });
          const epsilonWith = (count: number) => expenseEpsilon(addExpense(spent, expense, count), 1e-5);
          if (rounds > 0) expect(epsilonWith(rounds)).to.be.at.most(epsilon);
          if (rounds < MOST_ROUNDS) expect(epsilonWith(rounds + 1)).to.be.greaterThan(epsilon);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('is more than division of the budget by the price of a round allows', () => {
    const next: Expense = expenseOf(release());
    const price = expenseEpsilon(next, 1e-5);
    expect(roundsWithin(NOTHING_SPENT, next, { epsilon: 4, delta: 1e-5 })).to.be.greaterThan(4 / price);
  });

  it('ends at a bound', () => {
    const quiet = { clientVariance: 2 ** 32, draws: 6000, l2Squared: 1, honest: 1e6, dimension: 1 };
    const next = expenseOf(release(quiet), 0);
    expect(roundsWithin(NOTHING_SPENT, next, { epsilon: 1000, delta: 1e-5 })).to.equal(MOST_ROUNDS);
  });
});
