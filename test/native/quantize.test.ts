import { expect } from 'chai';
import fc from 'fast-check';
import { LWE_128, LWE_192 } from '../support/oracle/ring.js';
import { seededBytes, seededValues } from '../support/oracle/seeded.js';
import { deriveKey } from '../support/oracle/streams.js';
import { testingAddon } from '../support/testing-addon.js';
import { pipelineKernels } from './support/pipeline-kernels.js';
import { oracleQuantize } from './support/pipeline-oracle.js';

const planFingerprint = seededBytes(1, 'fingerprint');
const hedge = seededBytes(1, 'hedge', 80);

interface Parts {
  readonly counts: readonly number[];
  readonly factors: readonly number[];
  readonly limits: readonly number[];
}

function quantize(isa: string, values: Float32Array, parts: Parts, threads = 1, parameterSet: 0 | 1 = 0) {
  const levels = new Int32Array(values.length);
  const statistics = pipelineKernels.quantize(isa, {
    values,
    levels,
    counts: Uint32Array.from(parts.counts),
    factors: Float32Array.from(parts.factors),
    limits: Uint32Array.from(parts.limits),
    parameterSet,
    planFingerprint,
    hedge,
    threads,
  });
  return { levels: [...levels], ...statistics };
}

function floats(seed: number, count: number): Float32Array {
  return Float32Array.from(seededValues(seed, 'floats', count, 2 ** 20), (x) => x / 2 ** 18);
}

const part = fc.record({
  count: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 400, max: 1700 })),
  factor: fc.constantFrom(0, 0.25, 1, 30.7, -12, 3e5),
  limit: fc.constantFrom(1, 7, 127, 2047, 2048, 2 ** 20),
});

describe('native quantization', () => {
  for (const isa of testingAddon.isas()) {
    it(`rounds by the stream, part by part, wherever parts end (${isa})`, () => {
      fc.assert(
        fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), fc.nat(), (list, seed) => {
          const counts = list.map(({ count }) => count);
          if (Math.max(...counts) === 0) counts[0] = 1;
          const parts = {
            counts,
            factors: list.map(({ factor }) => factor),
            limits: list.map(({ limit }) => limit),
          };
          const values = floats(
            seed,
            counts.reduce((a, b) => a + b),
          );
          for (const ring of [LWE_192, LWE_128]) {
            const key = deriveKey(hedge, 'quantization', ring, planFingerprint);
            const got = quantize(isa, values, parts, 1, ring.nativeId === 0 ? 0 : 1);
            const expected = oracleQuantize(key, values, parts.counts, parts.factors, parts.limits);
            // An oracle's -0 is a level of 0.
            expect(got.levels).to.deep.equal(expected.levels.map((level) => level + 0));
            expect(got.saturated).to.deep.equal(expected.saturated);
            expect(got.sumsOfSquares).to.deep.equal(expected.sumsOfSquares);
          }
        }),
        { numRuns: 40 },
      );
    });

    it(`does not depend on the number of threads (${isa})`, () => {
      const count = 3 * 32768 + 1234;
      const parts = { counts: [40_000, count - 40_000], factors: [20, 30], limits: [60, 127] };
      const values = floats(2, count);
      const one = quantize(isa, values, parts, 1);
      expect(quantize(isa, values, parts, 2)).to.deep.equal(one);
      expect(quantize(isa, values, parts, 3)).to.deep.equal(one);
    });

    it(`stays within the limits for values of any size, and gives the same for what is no number (${isa})`, () => {
      const values = Float32Array.of(
        1e38,
        -1e38,
        Number.POSITIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
        Number.NaN,
      );
      const parts = { counts: [5], factors: [1e5], limits: [2 ** 20] };
      const got = quantize(isa, values, parts);
      const limit = 2 ** 20;
      expect(got.levels).to.deep.equal([limit, -limit, limit, -limit, -limit]);
      expect(got.saturated).to.deep.equal([5]);
      const repeated = new Float32Array(512).fill(Number.NaN);
      const whole = quantize(isa, repeated, { counts: [512], factors: [1], limits: [7] });
      expect(new Set(whole.levels)).to.deep.equal(new Set([-7]));
      expect(whole.saturated).to.deep.equal([512]);
    });
  }

  it('rounds without bias, with the variance f (1 - f) of a fraction f', () => {
    const count = 200_000;
    const isa = testingAddon.isas().at(-1) as string;
    for (const y of [0.125, 0.5, 0.9, -0.3, 5.7, 100.25]) {
      const values = new Float32Array(count).fill(y);
      const { levels } = quantize(isa, values, { counts: [count], factors: [1], limits: [127] });
      const f = y - Math.floor(y);
      const mean = levels.reduce((a, b) => a + b) / count;
      const variance = levels.reduce((sum, level) => sum + (level - mean) ** 2, 0) / count;
      const sigma = Math.sqrt((f * (1 - f)) / count);
      // The hedge is fixed: five sigma, and the bias of at most 2^-16.
      expect(Math.abs(mean - y)).to.be.below(5 * sigma + 2 ** -16);
      expect(variance).to.be.closeTo(f * (1 - f), 5 * sigma);
    }
  });

  it('gives zero for zero, and for a factor of zero', () => {
    const isa = testingAddon.isas().at(-1) as string;
    const zeros = quantize(isa, new Float32Array(2000), { counts: [2000], factors: [3], limits: [9] });
    expect(new Set(zeros.levels)).to.deep.equal(new Set([0]));
    const cleared = quantize(isa, floats(1, 2000), { counts: [2000], factors: [0], limits: [9] });
    expect(new Set(cleared.levels)).to.deep.equal(new Set([0]));
    expect(cleared.saturated).to.deep.equal([0]);
  });
});
