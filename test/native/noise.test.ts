import { expect } from 'chai';
import fc from 'fast-check';
import { LWE_192 } from '../support/oracle/ring.js';
import { seededBytes, seededValues } from '../support/oracle/seeded.js';
import { deriveKey } from '../support/oracle/streams.js';
import { testingAddon } from '../support/testing-addon.js';
import { pipelineKernels } from './support/pipeline-kernels.js';
import { oracleNoise } from './support/pipeline-oracle.js';

const planFingerprint = seededBytes(1, 'fingerprint');
const hedge = seededBytes(1, 'hedge', 80);
const key = deriveKey(hedge, 'noise', LWE_192, planFingerprint);

function addNoise(
  isa: string,
  levels: Int32Array,
  thresholds: readonly bigint[],
  draws: number,
  threads = 1,
) {
  const noisy = levels.slice();
  pipelineKernels.addNoise(isa, {
    levels: noisy,
    thresholds: BigUint64Array.from(thresholds),
    draws,
    parameterSet: 0,
    planFingerprint,
    hedge,
    threads,
  });
  return noisy;
}

const threshold = fc.oneof(
  fc.bigInt(0n, 2n ** 63n - 1n),
  // Near each other and equal, in the upper word and in the lower one.
  fc.integer({ min: 0, max: 3 }).map((step) => 2n ** 62n + BigInt(step) * 2n ** 31n),
  fc.constantFrom(0n, 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 63n - 1n),
);
const table = fc
  .array(threshold, { minLength: 1, maxLength: 30 })
  .map((list) => list.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));

describe('native noise', () => {
  for (const isa of testingAddon.isas()) {
    it(`adds the samples that the stream gives (${isa})`, () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 1, max: 500 }),
          table,
          fc.integer({ min: 1, max: 11 }),
          fc.nat(),
          (count, thresholds, draws, seed) => {
            const levels = seededValues(seed, 'levels', count, 1000);
            const noise = oracleNoise(key, count, thresholds, draws);
            const expected = levels.map((level, i) => level + (noise[i] as number));
            expect(addNoise(isa, levels, thresholds, draws)).to.deep.equal(expected);
          },
        ),
        { numRuns: 50 },
      );
    });

    it(`compares all 63 bits: thresholds at a sample and one above differ by one (${isa})`, () => {
      // Magnitudes against the samples themselves, found by bisection over single thresholds.
      const magnitude = (at: bigint, lane: number) =>
        Math.abs(addNoise(isa, new Int32Array(16), [at], 1)[lane] as number);
      for (const lane of [0, 3, 6, 9, 15]) {
        let low = 0n;
        let high = 2n ** 63n;
        while (high - low > 1n) {
          const middle = (low + high) / 2n;
          if (magnitude(middle, lane) === 1) low = middle;
          else high = middle;
        }
        const tied = [low, low, low + 1n];
        const noise = oracleNoise(key, 16, tied, 1)[lane] as number;
        expect(Math.abs(noise)).to.equal(2);
        expect(addNoise(isa, new Int32Array(16), tied, 1)[lane]).to.equal(noise);
      }
    });

    it(`scans a table of more than one step to its end (${isa})`, () => {
      const thresholds = Array.from({ length: 5000 }, (_, i) => (BigInt(i) << 63n) / 5000n);
      const noise = oracleNoise(key, 40, thresholds, 1);
      expect([...addNoise(isa, new Int32Array(40), thresholds, 1)]).to.deep.equal(noise);
    });

    it(`does not depend on the number of threads (${isa})`, () => {
      const levels = seededValues(5, 'levels', 3 * 2048 + 77, 100);
      const thresholds = [2n ** 61n, 2n ** 62n, 2n ** 62n + 2n ** 61n];
      const one = addNoise(isa, levels, thresholds, 3);
      expect(addNoise(isa, levels, thresholds, 3, 2)).to.deep.equal(one);
      expect(addNoise(isa, levels, thresholds, 3, 3)).to.deep.equal(one);
    });
  }

  it('is distributed as the table says (chi-square)', () => {
    // P(0) = 1/2, P(+-1) = 1/4 in all, P(+-2) = 3/16, P(+-3) = 1/16.
    const thresholds = [8n, 12n, 15n].map((share) => share << 59n);
    const shares = new Map([
      [0, 1 / 2],
      [1, 1 / 8],
      [-1, 1 / 8],
      [2, 3 / 32],
      [-2, 3 / 32],
      [3, 1 / 32],
      [-3, 1 / 32],
    ]);
    const count = 100_000;
    const isa = testingAddon.isas().at(-1) as string;
    const seen = new Map<number, number>();
    for (const x of addNoise(isa, new Int32Array(count), thresholds, 1)) seen.set(x, (seen.get(x) ?? 0) + 1);
    let statistic = 0;
    for (const [x, share] of shares) {
      statistic += ((seen.get(x) ?? 0) - share * count) ** 2 / (share * count);
    }
    expect([...seen.keys()].every((x) => shares.has(x))).to.equal(true);
    // Six degrees of freedom: exceeded with probability 1e-4; the hedge is fixed.
    expect(statistic).to.be.below(27.86);
  });

  it('adds up the variances of several draws', () => {
    const thresholds = [8n, 12n, 15n].map((share) => share << 59n);
    const variance = (1 / 4) * 1 + (3 / 16) * 4 + (1 / 16) * 9;
    const count = 50_000;
    const isa = testingAddon.isas().at(-1) as string;
    const sums = addNoise(isa, new Int32Array(count), thresholds, 9);
    const mean = sums.reduce((a, b) => a + b) / count;
    expect(Math.abs(mean)).to.be.below(5 * Math.sqrt((9 * variance) / count));
    const measured = sums.reduce((sum, x) => sum + (x - mean) ** 2, 0) / count;
    expect(measured).to.be.closeTo(9 * variance, 5 * 9 * variance * Math.sqrt(2 / count));
  });
});
