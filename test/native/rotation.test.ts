import { expect } from 'chai';
import fc from 'fast-check';
import { seededBytes, seededValues } from '../support/oracle/seeded.js';
import { testingAddon } from '../support/testing-addon.js';
import { pipelineKernels } from './support/pipeline-kernels.js';
import {
  hadamardByDefinition,
  oraclePositions,
  oracleRotate,
  oracleRotateBack,
  oracleSigns,
} from './support/pipeline-oracle.js';

const signKey = seededBytes(1, 'signs');
const sampleKey = seededBytes(1, 'sample');

function floats(seed: number, count: number): Float32Array {
  return Float32Array.from(seededValues(seed, 'floats', count, 2 ** 24), (x) => x / 2 ** 20);
}

function rotate(isa: string, values: Float32Array, blockLog2: number, kept: number, tensorIndex = 3) {
  const rotated = values.slice();
  const out = new Float32Array(kept);
  const sumOfSquares = pipelineKernels.rotateAndSample(isa, {
    values: rotated,
    kept: out,
    blockLog2,
    signKey,
    sampleKey,
    tensorIndex,
  });
  return { rotated, kept: out, sumOfSquares };
}

function rotateBack(isa: string, levels: Int32Array, scale: number, blockLog2: number, n: number) {
  const values = new Float32Array(n).fill(Number.NaN);
  pipelineKernels.placeAndRotateBack(isa, {
    levels,
    scale,
    values,
    blockLog2,
    signKey,
    sampleKey,
    tensorIndex: 3,
  });
  return values;
}

/** In the sixteen sums of the protocol. */
function sumOfSquares(values: Float32Array): number {
  const sums = new Float64Array(16);
  for (const [i, x] of values.entries()) sums[i % 16] = (sums[i % 16] as number) + x * x;
  return sums.reduce((total, x) => total + x, 0);
}

const shape = fc.record({
  n: fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 30_000 })),
  blockLog2: fc.integer({ min: 0, max: 16 }),
  keptShare: fc.constantFrom(0, 0.001, 0.3, 0.5, 0.9, 1),
  seed: fc.nat(),
  tensor: fc.constantFrom(0, 7, 2 ** 28 - 1),
});

describe('native rotation', () => {
  for (const isa of testingAddon.isas()) {
    it(`gives the bits of the float32 definition, and the kept coordinates (${isa})`, () => {
      fc.assert(
        fc.property(shape, ({ n, blockLog2, keptShare, seed, tensor }) => {
          const values = floats(seed, n);
          const count = Math.max(1, Math.floor(n * keptShare));
          const { rotated, kept, sumOfSquares: squares } = rotate(isa, values, blockLog2, count, tensor);
          const expected = oracleRotate(values, signKey, tensor, blockLog2);
          expect(new Uint32Array(rotated.buffer)).to.deep.equal(new Uint32Array(expected.buffer));
          const positions = oraclePositions(sampleKey, tensor, n, count);
          const expectedKept = Float32Array.from(positions, (i) => expected[i] as number);
          expect(kept).to.deep.equal(expectedKept);
          expect(squares).to.equal(sumOfSquares(expectedKept));
        }),
        { numRuns: 60 },
      );
    });

    it(`rotates back to the bits of the float32 definition (${isa})`, () => {
      fc.assert(
        fc.property(shape, ({ n, blockLog2, keptShare, seed }) => {
          const count = Math.max(1, Math.floor(n * keptShare));
          const levels = seededValues(seed, 'levels', count, 2 ** 26);
          const placed = new Float32Array(n);
          for (const [i, position] of oraclePositions(sampleKey, 3, n, count).entries()) {
            placed[position] = Math.fround(levels[i] as number) * Math.fround(0.013);
          }
          const expected = oracleRotateBack(placed, signKey, 3, blockLog2);
          const got = rotateBack(isa, levels, 0.013, blockLog2, n);
          expect(new Uint32Array(got.buffer)).to.deep.equal(new Uint32Array(expected.buffer));
        }),
        { numRuns: 60 },
      );
    });

    it(`crosses a window of signs and a block larger than the first-level cache (${isa})`, () => {
      const values = floats(9, 2 ** 16 + 8192 + 777);
      for (const blockLog2 of [5, 12, 13, 16]) {
        const { rotated } = rotate(isa, values, blockLog2, values.length);
        expect(rotated).to.deep.equal(oracleRotate(values, signKey, 3, blockLog2));
      }
    });

    it(`agrees with the Hadamard matrix in double precision (${isa})`, () => {
      for (let log2 = 1; log2 <= 8; log2 += 1) {
        const values = floats(log2, 2 ** log2);
        const signs = oracleSigns(signKey, 3, values.length);
        const expected = hadamardByDefinition([...values].map((x, i) => x * (signs[i] as number)));
        const { rotated } = rotate(isa, values, log2, values.length);
        // Each of log2 additions rounds by at most 2^-24 of values that stay below 16 * 2^(log2/2).
        for (const [i, x] of rotated.entries()) {
          expect(Math.abs(x - (expected[i] as number))).to.be.below(2 ** -20 * 16 * 2 ** (log2 / 2));
        }
      }
    });

    it(`is orthonormal: unit vectors become orthogonal vectors of length 1 (${isa})`, () => {
      const n = 32;
      const columns = Array.from({ length: n }, (_, i) => {
        const unit = new Float32Array(n);
        unit[i] = 1;
        return rotate(isa, unit, 5, n).rotated;
      });
      for (const [i, a] of columns.entries()) {
        for (const [j, b] of columns.entries()) {
          const product = a.reduce((sum, x, at) => sum + x * (b[at] as number), 0);
          expect(product).to.be.closeTo(i === j ? 1 : 0, 1e-6);
        }
      }
    });

    it(`comes back to where it started (${isa})`, () => {
      for (const n of [1, 5, 8, 100, 4096, 5000]) {
        const levels = seededValues(n, 'levels', n, 1000);
        const there = rotate(isa, Float32Array.from(levels), 12, n).rotated;
        const there20 = Int32Array.from(there, (x) => Math.round(x * 2 ** 12));
        const back = rotateBack(isa, there20, 2 ** -12, 12, n);
        for (const [i, x] of back.entries()) expect(x).to.be.closeTo(levels[i] as number, 0.05);
      }
    });

    it(`tells of a value that is not finite, kept or not (${isa})`, () => {
      for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        for (const blockLog2 of [0, 3, 6]) {
          for (const at of [0, 17, 63, 64, 98]) {
            const values = floats(1, 99);
            values[at] = bad;
            for (const kept of [1, 50, 99]) {
              expect(Number.isFinite(rotate(isa, values, blockLog2, kept).sumOfSquares)).to.equal(false);
            }
          }
        }
      }
    });

    it(`takes the kept coordinates in place where all are kept (${isa})`, () => {
      const values = floats(4, 10_001);
      const expected = rotate(isa, values, 9, values.length);
      const job = { values, kept: values, blockLog2: 9, signKey, sampleKey, tensorIndex: 3 };
      expect(pipelineKernels.rotateAndSample(isa, job)).to.equal(expected.sumOfSquares);
      expect(values).to.deep.equal(expected.kept);
    });
  }
});
