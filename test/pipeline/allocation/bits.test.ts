import { expect } from 'chai';
import fc from 'fast-check';
import { allocateBits, PlanTargetError } from '../../../lib/pipeline/allocation/bit-targets.js';
import {
  type BitAllocation,
  type BitProblem,
  cheapestBits,
  mostAccurateBits,
  type SizeBytes,
} from '../../../lib/pipeline/allocation/bits.js';
import { refusal } from './refusals.js';

/** Bytes without any rounding: half a byte a value and bit. */
const linear: SizeBytes = (values) => {
  let bytes = 0;
  for (const [bits, count] of values) bytes += (bits * count) / 2;
  return bytes;
};

/** Each width rounds up to blocks of 16 values, as ring elements do, and folds unevenly. */
const blocks: SizeBytes = (values) => {
  let bytes = 0;
  for (const [bits, count] of values) bytes += Math.ceil(count / 16) * (8 + 3 * bits + (bits === 5 ? 4 : 0));
  return bytes;
};

interface Setting {
  readonly counts: readonly number[];
  readonly variances: readonly number[];
}

function problemOf(
  { counts, variances }: Setting,
  sizeBytes: SizeBytes,
  widths: readonly number[],
): BitProblem {
  return {
    counts,
    widths,
    sizeBytes,
    squaredError: (m, bits) =>
      ((counts[m] as number) * (variances[m] as number)) / (2 ** (bits - 1) - 1) ** 2,
  };
}

function sizeOf({ counts, sizeBytes }: BitProblem, bits: readonly number[]): number {
  const values = new Map<number, number>();
  for (const [m, width] of bits.entries())
    values.set(width, (values.get(width) ?? 0) + (counts[m] as number));
  return sizeBytes(values);
}

function errorOf({ squaredError }: BitProblem, bits: readonly number[]): number {
  return bits.reduce((sum, width, m) => sum + squaredError(m, width), 0);
}

/** Every allocation there is. */
function everyAllocation({ counts, widths }: BitProblem): number[][] {
  let all: number[][] = [[]];
  for (const _ of counts) all = all.flatMap((bits) => widths.map((width) => [...bits, width]));
  return all;
}

function expectConsistent(problem: BitProblem, allocation: BitAllocation): void {
  expect(allocation.sizeBytes).to.equal(sizeOf(problem, allocation.bits));
  expect(allocation.squaredError).to.be.closeTo(errorOf(problem, allocation.bits), 1e-12);
  for (const width of allocation.bits) expect(problem.widths).to.include(width);
}

const variance = fc.double({ min: 1e-3, max: 10, noNaN: true });
const setting = fc
  .array(fc.record({ count: fc.integer({ min: 1, max: 60 }), variance }), { minLength: 1, maxLength: 5 })
  .map((tensors) => ({ counts: tensors.map((t) => t.count), variances: tensors.map((t) => t.variance) }));
const equalCounts = fc
  .array(variance, { minLength: 1, maxLength: 5 })
  .map((variances) => ({ counts: variances.map(() => 10), variances }));
const widths = [2, 3, 4, 6];
const share = fc.double({ min: 0, max: 1, noNaN: true });

describe('bits to a size target', () => {
  it('are the best of all choices where every step costs the same', () => {
    fc.assert(
      fc.property(equalCounts, share, (tensors, fraction) => {
        const problem = problemOf(tensors, linear, [2, 3, 4, 5]);
        const limit = tensors.counts.length * 10 * (1 + 1.5 * fraction);
        const found = mostAccurateBits(problem, limit) as BitAllocation;
        const fitting = everyAllocation(problem).filter((bits) => sizeOf(problem, bits) <= limit);
        const best = Math.min(...fitting.map((bits) => errorOf(problem, bits)));
        expect(found.squaredError).to.be.at.most(best * (1 + 1e-9));
      }),
    );
  });

  it('are as good as any choice that leaves room for one more step', () => {
    fc.assert(
      fc.property(setting, share, (tensors, fraction) => {
        const problem = problemOf(tensors, linear, widths);
        const total = tensors.counts.reduce((a, b) => a + b, 0);
        const limit = total * (1 + 2 * fraction);
        const found = mostAccurateBits(problem, limit) as BitAllocation;
        expectConsistent(problem, found);
        expect(found.sizeBytes).to.be.at.most(limit);
        // The largest step: one tensor by two bits.
        const spare = Math.max(...tensors.counts);
        const smaller = everyAllocation(problem).filter((bits) => sizeOf(problem, bits) <= limit - spare);
        const best = Math.min(Number.POSITIVE_INFINITY, ...smaller.map((bits) => errorOf(problem, bits)));
        expect(found.squaredError).to.be.at.most(best * (1 + 1e-9));
      }),
      { numRuns: 200 },
    );
  });

  it('never exceed it, and are found whenever some choice fits it, with a size that rounds up', () => {
    fc.assert(
      fc.property(setting, fc.integer({ min: 10, max: 600 }), (tensors, limit) => {
        const problem = problemOf(tensors, blocks, [2, 3, 4, 5, 6]);
        const found = mostAccurateBits(problem, limit);
        const uniform = problem.widths.filter(
          (w) =>
            sizeOf(
              problem,
              tensors.counts.map(() => w),
            ) <= limit,
        );
        if (uniform.length > 0) {
          expect(found).not.to.equal(undefined);
          const { squaredError } = found as BitAllocation;
          for (const w of uniform) {
            expect(squaredError).to.be.at.most(
              errorOf(
                problem,
                tensors.counts.map(() => w),
              ) + 1e-12,
            );
          }
        }
        if (found === undefined) return;
        expectConsistent(problem, found);
        expect(found.sizeBytes).to.be.at.most(limit);
      }),
      { numRuns: 200 },
    );
  });

  it('skip a width that costs more than a wider one', () => {
    const dearFive: SizeBytes = (values) => {
      let bytes = 0;
      for (const [bits, count] of values) bytes += count * (bits === 5 ? 10 : bits);
      return bytes;
    };
    const problem = problemOf({ counts: [10, 10, 10], variances: [1, 2, 3] }, dearFive, [4, 5, 6]);
    const found = mostAccurateBits(problem, 140) as BitAllocation;
    expect(found.bits).to.deep.equal([4, 4, 6]);
  });

  it('drop a width that hardly a value uses when its own ring elements cost more than they save', () => {
    // A width in use costs 1000 bytes: 2 and 3 and 4 bits side by side are out of the question.
    const perWidth: SizeBytes = (values) => linear(values) + 1000 * values.size;
    const tensors = { counts: [100, 100, 100, 100], variances: [1, 0.9, 0.8, 0.7] };
    const found = mostAccurateBits(problemOf(tensors, perWidth, [2, 3, 4, 5]), 1850) as BitAllocation;
    expect(found.bits).to.deep.equal([4, 4, 4, 4]);
  });

  it('give more to the tensor with the larger error, not to the one that comes first', () => {
    const found = mostAccurateBits(problemOf({ counts: [10, 10], variances: [1, 100] }, linear, widths), 45);
    expect((found as BitAllocation).bits).to.deep.equal([3, 6]);
    const mirrored = mostAccurateBits(
      problemOf({ counts: [10, 10], variances: [100, 1] }, linear, widths),
      45,
    );
    expect((mirrored as BitAllocation).bits).to.deep.equal([6, 3]);
  });

  it('do not depend on the unit of the error', () => {
    fc.assert(
      fc.property(setting, share, (tensors, fraction) => {
        const limit = tensors.counts.reduce((a, b) => a + b, 0) * (1 + 2 * fraction);
        const scaled = { ...tensors, variances: tensors.variances.map((v) => v * 2 ** 40) };
        expect(mostAccurateBits(problemOf(scaled, linear, widths), limit)?.bits).to.deep.equal(
          mostAccurateBits(problemOf(tensors, linear, widths), limit)?.bits,
        );
      }),
    );
  });
});

describe('bits to an error target', () => {
  it('are the cheapest of all choices where every step costs the same', () => {
    fc.assert(
      fc.property(equalCounts, share, (tensors, fraction) => {
        const problem = problemOf(tensors, linear, [2, 3, 4, 5]);
        const all = everyAllocation(problem);
        const errors = all.map((bits) => errorOf(problem, bits));
        const target = Math.min(...errors) * (1 + 1e-9) + fraction ** 3 * Math.max(...errors);
        const found = cheapestBits(problem, target) as BitAllocation;
        expect(found.squaredError).to.be.at.most(target);
        const least = Math.min(
          ...all.filter((_, i) => (errors[i] as number) <= target).map((b) => sizeOf(problem, b)),
        );
        expect(found.sizeBytes).to.equal(least);
      }),
    );
  });

  it('meet it, with at most one step more than the cheapest choice', () => {
    fc.assert(
      fc.property(setting, share, (tensors, fraction) => {
        const problem = problemOf(tensors, linear, widths);
        const all = everyAllocation(problem);
        const errors = all.map((bits) => errorOf(problem, bits));
        const target = Math.min(...errors) * (1 + 1e-9) + fraction ** 3 * Math.max(...errors);
        const found = cheapestBits(problem, target) as BitAllocation;
        expectConsistent(problem, found);
        expect(found.squaredError).to.be.at.most(target);
        const least = Math.min(
          ...all.filter((_, i) => (errors[i] as number) <= target).map((b) => sizeOf(problem, b)),
        );
        expect(found.sizeBytes).to.be.at.most(least + Math.max(...tensors.counts));
      }),
      { numRuns: 200 },
    );
  });

  it('do not exist when the widest are too coarse', () => {
    const problem = problemOf({ counts: [10], variances: [1] }, linear, widths);
    expect(cheapestBits(problem, errorOf(problem, [6]) * 0.999)).to.equal(undefined);
    expect(cheapestBits(problem, errorOf(problem, [6]))?.bits).to.deep.equal([6]);
  });
});

describe('both targets', () => {
  const problem = problemOf({ counts: [100, 100], variances: [1, 4] }, linear, [2, 3, 4, 5, 6]);
  const base = { energy: 1000, otherSquaredError: 10 };

  it('give the cheapest that meets the error, not the most accurate that fits', () => {
    const maxRelativeError = 0.2;
    const found = allocateBits(problem, { ...base, limitBytes: 600, maxRelativeError });
    expect(Math.sqrt((found.squaredError + 10) / 1000)).to.be.at.most(maxRelativeError);
    expect(found.sizeBytes).to.be.below(400);
    expect(allocateBits(problem, { ...base, limitBytes: 600 }).bits).to.deep.equal([6, 6]);
  });

  it('that exclude each other are refused with the error at the size and the size for the error', () => {
    const error = refusal(() => allocateBits(problem, { ...base, limitBytes: 300, maxRelativeError: 0.12 }));
    expect(error).to.be.instanceOf(PlanTargetError);
    expect(error.code).to.equal('plan.error-target');
    const { errorAtSizeTarget, sizeForErrorBytes } = error as PlanTargetError;
    const best = mostAccurateBits(problem, 300) as BitAllocation;
    expect(errorAtSizeTarget).to.be.closeTo(Math.sqrt((best.squaredError + 10) / 1000), 1e-12);
    expect(errorAtSizeTarget).to.be.above(0.12);
    expect(
      allocateBits(problem, { ...base, limitBytes: sizeForErrorBytes as number, maxRelativeError: 0.12 })
        .sizeBytes,
    ).to.equal(sizeForErrorBytes);
    expect(error.message).to.contain(`${sizeForErrorBytes} bytes`).and.to.contain('300 bytes');
  });

  it('are refused when what is not sent alone misses the error, saying so', () => {
    const error = refusal(() => allocateBits(problem, { ...base, limitBytes: 600, maxRelativeError: 0.09 }));
    expect((error as PlanTargetError).sizeForErrorBytes).to.equal(undefined);
    expect(error.message).to.contain('Keep more values');
  });

  it('are refused with the smallest size there is when nothing fits', () => {
    const error = refusal(() => allocateBits(problem, { ...base, limitBytes: 199 }));
    expect(error.code).to.equal('plan.size-target');
    expect(error.message).to.contain('200');
  });

  it('are refused for widths out of order or out of range', () => {
    for (const wrong of [[], [3, 2], [1, 2], [8, 9]]) {
      const bad = { ...problem, widths: wrong };
      expect(refusal(() => mostAccurateBits(bad, 1000)).code).to.equal('plan.argument-out-of-range');
    }
  });
});
