import { expect } from 'chai';
import fc from 'fast-check';
import { exactRateInterval, wilsonInterval } from '../../../lib/evaluation/statistics/rates.js';
import { binomialProbability } from '../support/exact-binomial.js';

const RATES = Array.from({ length: 127 }, (_, i) => (i + 1) / 128);

/** How often the lower limit is above the true rate, by exact enumeration. */
function lowerError(interval: typeof exactRateInterval, n: number, rate: number, limitError: number): number {
  let error = 0;
  for (let k = 0; k <= n; k += 1) {
    if (interval(k, n, limitError).lower > rate) error += binomialProbability(n, rate, k, k);
  }
  return error;
}

describe('limits of a rate', () => {
  it('are the published ones of Clopper and Pearson', () => {
    for (const [k, n, limitError, lower, upper] of [
      [0, 10, 0.025, 0, 0.3084971078187607],
      [1, 10, 0.025, 0.0025285785444617848, 0.4450161170281954],
      [8, 10, 0.025, 0.4439045376923585, 0.9747892736731666],
      [90, 100, 0.0125, 0.8122254594268596, 0.956164277041731],
      [700, 800, 0.05, 0.8541090244512732, 0.8938088409221228],
    ] as const) {
      const interval = exactRateInterval(k, n, limitError);
      expect(interval.lower).to.be.closeTo(lower, 1e-10);
      expect(interval.upper).to.be.closeTo(upper, 1e-10);
    }
  });

  it('are the published ones of Wilson (Newcombe 1998, table I, method 3)', () => {
    for (const [k, n, lower, upper] of [
      [81, 263, 0.2553, 0.3662],
      [15, 148, 0.0624, 0.1605],
      [0, 20, 0, 0.1611],
      [1, 29, 0.0061, 0.1718],
    ] as const) {
      const interval = wilsonInterval(k, n, 0.025);
      expect(interval.lower).to.be.closeTo(lower, 5e-5);
      expect(interval.upper).to.be.closeTo(upper, 5e-5);
    }
  });

  it('are where the exact tail is the error that was asked for', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 80 }),
        fc.nat(),
        fc.constantFrom(0.05, 0.025, 0.0125, 0.001),
        (n, any, limitError) => {
          const k = any % (n + 1);
          const { lower, upper } = exactRateInterval(k, n, limitError);
          if (k > 0) expect(binomialProbability(n, lower, k, n)).to.be.closeTo(limitError, 1e-10);
          if (k < n) expect(binomialProbability(n, upper, 0, k)).to.be.closeTo(limitError, 1e-10);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('are wrong no more often than asked for, at any rate: exact enumeration', () => {
    for (const n of [1, 2, 5, 12, 25]) {
      for (const rate of RATES) {
        expect(lowerError(exactRateInterval, n, rate, 0.05), `${n} ${rate}`).to.be.at.most(0.05 + 1e-9);
      }
    }
  });

  it('of Wilson are not: why decisions do not use them', () => {
    const worst = Math.max(...RATES.map((rate) => lowerError(wilsonInterval, 10, rate, 0.05)));
    expect(worst).to.be.within(0.14, 0.17);
  });

  it('mirror each other, contain the estimate, and narrow with more episodes and less confidence', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.nat(), (n, any) => {
        const k = any % (n + 1);
        for (const interval of [exactRateInterval, wilsonInterval]) {
          const { lower, upper } = interval(k, n, 0.05);
          const mirrored = interval(n - k, n, 0.05);
          expect(lower).to.be.closeTo(1 - mirrored.upper, 1e-12);
          expect(upper).to.be.closeTo(1 - mirrored.lower, 1e-12);
          expect(k / n).to.be.within(lower - 1e-12, upper + 1e-12);
          const surer = interval(k, n, 0.01);
          expect(surer.upper - surer.lower).to.be.at.least(upper - lower);
          const more = interval(4 * k, 4 * n, 0.05);
          expect(more.upper - more.lower).to.be.below(upper - lower);
        }
      }),
    );
  });

  it('refuse an error that is none', () => {
    for (const limitError of [0, 0.5, -1, Number.NaN]) {
      expect(() => exactRateInterval(1, 2, limitError)).to.throw(RangeError);
      expect(() => wilsonInterval(1, 2, limitError)).to.throw(RangeError);
    }
  });
});
