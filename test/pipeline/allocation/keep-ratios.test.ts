import { expect } from 'chai';
import fc from 'fast-check';
import {
  freeValues,
  type KeepTensor,
  keepBudget,
  keepCounts,
  referenceEnergies,
} from '../../../lib/pipeline/allocation/keep-ratios.js';
import { refusal } from './refusals.js';

const energy = fc.double({ min: 1e-3, max: 1e3, noNaN: true });
const tensor: fc.Arbitrary<KeepTensor> = fc.record({ values: fc.integer({ min: 1, max: 7 }), energy });
const total = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0);

/** sum n d / kappa = sum n e / K. */
function residualEnergy(tensors: readonly KeepTensor[], counts: readonly number[]): number {
  return tensors.reduce((sum, t, m) => sum + (t.values * t.energy) / (counts[m] as number), 0);
}

/** The least sum over every choice of counts with the given sum. */
function bruteForce(tensors: readonly KeepTensor[], least: readonly number[], budget: number): number {
  const [first, ...rest] = tensors;
  if (first === undefined) return budget === 0 ? 0 : Number.POSITIVE_INFINITY;
  let best = Number.POSITIVE_INFINITY;
  for (let count = least[0] as number; count <= Math.min(first.values, budget); count += 1) {
    const others = bruteForce(rest, least.slice(1), budget - count);
    best = Math.min(best, (first.values * first.energy) / count + others);
  }
  return best;
}

describe('keep ratios', () => {
  it('leave the least residual energy of all choices of counts', () => {
    fc.assert(
      fc.property(
        fc.array(tensor, { minLength: 1, maxLength: 5 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.constantFrom(0, 0.1, 0.3),
        (tensors, share, minimumKeepRatio) => {
          const least = tensors.map(({ values }) => Math.max(1, Math.ceil(minimumKeepRatio * values)));
          const budget = total(least) + Math.floor(share * (freeValues(tensors) - total(least)));
          const counts = keepCounts({ tensors, budget, minimumKeepRatio });
          expect(total(counts)).to.equal(budget);
          for (const [m, count] of counts.entries()) {
            expect(count).to.be.within(least[m] as number, (tensors[m] as KeepTensor).values);
          }
          const best = bruteForce(tensors, least, budget);
          expect(residualEnergy(tensors, counts)).to.be.at.most(best * (1 + 1e-9));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('go with the square root of the density', () => {
    const tensors = [
      { values: 1_000_000, energy: 1_000_000 },
      { values: 2_000_000, energy: 50_000_000 },
      { values: 500_000, energy: 50_000_000 },
    ];
    const counts = keepCounts({ tensors, budget: 50_000 });
    const ratios = counts.map((count, m) => count / (tensors[m] as KeepTensor).values);
    expect((ratios[1] as number) / (ratios[0] as number)).to.be.closeTo(5, 0.01);
    expect((ratios[2] as number) / (ratios[0] as number)).to.be.closeTo(10, 0.01);
  });

  it('are equal for equal densities, whatever the sizes', () => {
    const sizes = [1000, 64_000, 5_000_000, 77];
    const counts = keepCounts({
      tensors: sizes.map((values) => ({ values, energy: 3 * values })),
      budget: 101_215,
    });
    const ratio = 101_215 / total(sizes);
    for (const [m, count] of counts.entries()) {
      expect(count).to.be.closeTo(ratio * (sizes[m] as number), 1.01);
    }
  });

  it('give what a dense tensor cannot use to the others', () => {
    const tensors = [
      { values: 100, energy: 1e9 },
      { values: 1000, energy: 1 },
      { values: 1000, energy: 4 },
    ];
    const counts = keepCounts({ tensors, budget: 400 });
    expect(counts[0]).to.equal(100);
    expect(counts[1]).to.be.closeTo(100, 1);
    expect(counts[2]).to.be.closeTo(200, 1);
  });

  it('do not depend on the unit of the energies', () => {
    fc.assert(
      fc.property(
        fc.array(tensor, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: -40, max: 40 }),
        (tensors, e) => {
          const budget = Math.ceil(freeValues(tensors) / 2);
          // Powers of four have exact square roots, so that not even a tie may fall differently.
          const scaled = tensors.map((t) => ({ ...t, energy: t.energy * 4 ** e }));
          expect(keepCounts({ tensors: scaled, budget })).to.deep.equal(keepCounts({ tensors, budget }));
        },
      ),
    );
  });

  it('move with the tensors when these are permuted, but for one value among ties', () => {
    fc.assert(
      fc.property(fc.array(tensor, { minLength: 2, maxLength: 6 }), (tensors) => {
        const budget = Math.ceil(freeValues(tensors) / 2);
        const counts = keepCounts({ tensors, budget });
        const mirrored = keepCounts({ tensors: [...tensors].reverse(), budget }).reverse();
        for (const [m, count] of counts.entries()) expect(count).to.be.closeTo(mirrored[m] as number, 1);
        expect(residualEnergy(tensors, mirrored)).to.be.closeTo(
          residualEnergy(tensors, counts),
          1e-9 * residualEnergy(tensors, counts),
        );
      }),
    );
  });

  it('leave tensors with a ratio of their own out of the budget', () => {
    const tensors = [
      { values: 1000, energy: 1 },
      { values: 50, energy: 1, keepRatio: 1 },
      { values: 1000, energy: 1, keepRatio: 0.25 },
      { values: 3, energy: 1, keepRatio: 0.01 },
    ];
    expect(keepBudget(tensors, 0.1)).to.equal(100);
    expect(keepCounts({ tensors, budget: 100 })).to.deep.equal([100, 50, 250, 1]);
  });

  it('send at least one value of every tensor and never more than there are', () => {
    const tensors = [
      { values: 5, energy: 1 },
      { values: 9, energy: 1e-12 },
    ];
    expect(keepCounts({ tensors, budget: 0 })).to.deep.equal([1, 1]);
    expect(keepCounts({ tensors, budget: 1000 })).to.deep.equal([5, 9]);
  });

  it('take a tensor that is all zero for one of median density', () => {
    const tensors = [
      { values: 10, energy: 10 },
      { values: 1000, energy: 0 },
      { values: 10, energy: 30 },
      { values: 10, energy: 1000 },
    ];
    expect(referenceEnergies(tensors)).to.deep.equal([10, 3000, 30, 1000]);
    expect(referenceEnergies([{ values: 4, energy: 0 }])).to.deep.equal([4]);
    expect(referenceEnergies([...tensors, { values: 1, energy: 5 }])[1]).to.equal(4000);
  });

  it('are found for a hundred million values and energies of any size', () => {
    const tensors = Array.from({ length: 1000 }, (_, m) => ({
      values: 100_000 + m,
      energy: 10 ** ((m % 61) - 30),
    }));
    for (const budget of [1000, 1_234_567, 77_777_777]) {
      expect(total(keepCounts({ tensors, budget }))).to.equal(budget);
    }
  });

  it('are refused for what is no size, no energy and no ratio', () => {
    const bad: KeepTensor[] = [
      { values: 0, energy: 1 },
      { values: 1.5, energy: 1 },
      { values: 1, energy: -1 },
      { values: 1, energy: Number.NaN },
      { values: 1, energy: 1, keepRatio: 0 },
      { values: 1, energy: 1, keepRatio: 1.1 },
    ];
    for (const t of bad) {
      expect(refusal(() => keepCounts({ tensors: [t], budget: 1 })).code).to.equal(
        'plan.argument-out-of-range',
      );
    }
  });
});
