import { expect } from 'chai';
import fc from 'fast-check';
import { chunkLanes, valueIndex, valuePosition } from '../../lib/lwe/layout.js';
import { type ParameterSetName, parameterSet } from '../../lib/lwe/parameters.js';
import { type SegmentArithmetic, segmentArithmetic } from '../../lib/lwe/plan.js';
import { messagesOf } from '../support/oracle/folding.js';

const plan: fc.Arbitrary<SegmentArithmetic> = fc
  .record({
    parameterSet: fc.constantFrom<ParameterSetName>('lwe-192', 'lwe-128'),
    bits: fc.integer({ min: 2, max: 5 }),
    maxClients: fc.integer({ min: 1, max: 20 }),
    valueCount: fc.integer({ min: 1, max: 120_000 }),
  })
  .map((asked) => segmentArithmetic(asked));

describe('the order of values', () => {
  it('gives every value a place of its own', () => {
    fc.assert(
      fc.property(plan, (layout) => {
        const { n } = parameterSet(layout.parameterSet);
        const taken = new Uint8Array(layout.ringElements * n * layout.fold);
        let outside = 0;
        for (let index = 0; index < taken.length; index += 1) {
          const { chunk, field, coefficient, lane } = valuePosition(layout, index);
          if (lane >= chunkLanes(layout, chunk) || coefficient >= n || field >= layout.fold) outside += 1;
          const place = ((chunk * 8 + lane) * n + coefficient) * layout.fold + field;
          taken[place] = (taken[place] as number) + 1;
        }
        expect(outside).to.equal(0);
        expect(taken.every((count) => count === 1)).to.equal(true);
      }),
      { numRuns: 10 },
    );
  });

  it('finds a value by its place again', () => {
    fc.assert(
      fc.property(plan, fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (layout, at) => {
        const index = Math.floor(at * layout.valueCount);
        expect(valueIndex(layout, valuePosition(layout, index))).to.equal(index);
      }),
      { numRuns: 1000 },
    );
  });

  it('is the order in which an update is folded', () => {
    fc.assert(
      fc.property(plan, fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (layout, at) => {
        const { n } = parameterSet(layout.parameterSet);
        const index = Math.floor(at * layout.valueCount);
        const values = new Int32Array(layout.valueCount);
        values[index] = 1;
        const { chunk, field, coefficient, lane } = valuePosition(layout, index);
        const elements = messagesOf({ ...layout, n }, values);
        expect(elements).to.have.length(layout.ringElements);
        expect(elements[chunk * 8 + lane]?.[coefficient]).to.equal(2 ** (field * layout.fieldBits));
        const total = elements.reduce((sum, row) => sum + row.reduce((a, b) => a + b, 0), 0);
        expect(total).to.equal(2 ** (field * layout.fieldBits));
      }),
      { numRuns: 30 },
    );
  });

  it('needs no ring element that holds no value', () => {
    fc.assert(
      fc.property(plan, (layout) => {
        const elements = new Set<number>();
        for (let index = 0; index < layout.valueCount; index += 1) {
          const { chunk, lane } = valuePosition(layout, index);
          elements.add(chunk * 8 + lane);
        }
        expect(elements.size).to.equal(layout.ringElements);
        expect(Math.max(...elements)).to.equal(layout.ringElements - 1);
      }),
      { numRuns: 10 },
    );
  });
});
