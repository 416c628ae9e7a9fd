import { expect } from 'chai';
import fc from 'fast-check';
import { type SafetyStatistics, safetySchema } from '../../lib/package/messages/update.js';
import { bucketSafety } from '../../lib/package/safety-buckets.js';

const counts: readonly (keyof SafetyStatistics)[] = ['saturatedValues', 'constraintViolations'];
const norms: readonly (keyof SafetyStatistics)[] = ['gradientNormMean', 'gradientNormMax'];
const scores: readonly (keyof SafetyStatistics)[] = ['oodScore', 'klDivergence'];

const bucket = (name: keyof SafetyStatistics, value: number) => bucketSafety({ [name]: value })[name];

describe('bucketed safety statistics', () => {
  it('have counts rounded up to 0 and powers of two', () => {
    const table: [count: number, expected: number][] = [
      [0, 0],
      [1, 1],
      [2, 2],
      [3, 4],
      [4, 4],
      [5, 8],
      [1000, 1024],
      [1024, 1024],
      [1025, 2048],
      [2 ** 39 + 1, 2 ** 40],
      [2 ** 40, 2 ** 40],
    ];
    for (const [count, expected] of table) {
      for (const name of counts) expect(bucket(name, count), `${name} ${count}`).to.equal(expected);
    }
  });

  it('have norms and scores of two significant binary digits', () => {
    const table: [value: number, expected: number][] = [
      [0, 0],
      [1, 1],
      [1.24, 1],
      [1.25, 1.5],
      [1.7, 1.5],
      [1.75, 2],
      [0.1, 0.09375],
      [0.3, 0.25],
      [100, 96],
      [7, 8],
      [2 ** -32, 2 ** -32],
      [2 ** -32.1, 0],
      [5e-324, 0],
      [1e300, 2 ** 32],
      [Number.MAX_VALUE, 2 ** 32],
    ];
    for (const [value, expected] of table) {
      for (const name of [...norms, ...scores]) expect(bucket(name, value), `${value}`).to.equal(expected);
      for (const name of scores)
        expect(bucket(name, -value), `${-value}`).to.equal(value === 0 ? 0 : -expected || 0);
    }
  });

  it('leave absent statistics absent', () => {
    expect(bucketSafety({})).to.deep.equal({});
    expect(bucketSafety({ oodScore: 0.5 })).to.deep.equal({ oodScore: 0.5 });
  });

  const magnitude = fc.double({ min: 0, noNaN: true, noDefaultInfinity: true });
  const score = fc.double({ noNaN: true, noDefaultInfinity: true });
  const count = fc.integer({ min: 0, max: 2 ** 40 });
  const statistics: fc.Arbitrary<SafetyStatistics> = fc.record(
    {
      saturatedValues: count,
      constraintViolations: count,
      oodScore: score,
      klDivergence: score,
      gradientNormMean: magnitude,
      gradientNormMax: magnitude,
    },
    { requiredKeys: [] },
  );

  it('fit in a header, and are the same when bucketed again', () => {
    fc.assert(
      fc.property(statistics, (given) => {
        const once = bucketSafety(given);
        expect(Object.keys(once)).to.have.members(Object.keys(given));
        expect(safetySchema.safeParse(once).success).to.equal(true);
        expect(bucketSafety(once)).to.deep.equal(once);
      }),
    );
  });

  it('keep their order, are near, and take as few values as the documentation says', () => {
    const value = fc.oneof(
      fc.double({ min: 2 ** -32, max: 2 ** 32, noNaN: true }),
      fc.double({ min: 1, max: 2, noNaN: true }),
    );
    fc.assert(
      fc.property(value, value, (a, b) => {
        const [low, high] = [
          bucket('gradientNormMax', Math.min(a, b)),
          bucket('gradientNormMax', Math.max(a, b)),
        ];
        expect(low).to.be.at.most(high as number);
        expect(Math.abs((high as number) / Math.max(a, b) - 1)).to.be.at.most(0.2 + 1e-12);
        const mantissa = (high as number) / 2 ** Math.round(Math.log2(high as number) - 0.3);
        expect([1, 1.5]).to.include(mantissa);
      }),
    );
    const values = new Set<number | undefined>([0]);
    for (let step = -33 * 64; step <= 33 * 64; step++)
      values.add(bucket('gradientNormMax', 2 ** (step / 64)));
    expect(values.size).to.equal(130);
  });
});
