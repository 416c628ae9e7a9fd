import { expect } from 'chai';
import fc from 'fast-check';
import type { PlanTensor } from '../../lib/package/messages/plan.js';
import {
  inMessageOrder,
  largestTensor,
  sentElements,
  tensorPlaces,
} from '../../lib/pipeline/value-layout.js';

const tensors = fc
  .array(
    fc
      .record({ rows: fc.integer({ min: 1, max: 20 }), columns: fc.integer({ min: 1, max: 20 }) })
      .chain(({ rows, columns }) =>
        fc.record({
          shape: fc.constant([rows, columns]),
          bits: fc.integer({ min: 2, max: 8 }),
          kept: fc.integer({ min: 1, max: rows * columns }),
        }),
      ),
    { minLength: 1, maxLength: 30 },
  )
  .map((all) =>
    all.map(
      (tensor, i): PlanTensor => ({
        name: `tensor ${i}`,
        dtype: 'F32',
        scale: 1,
        ...tensor,
        shape: [...tensor.shape],
      }),
    ),
  );

describe('the places of values', () => {
  it('fill the message without gaps, by ascending width and then in the order of the plan', () => {
    fc.assert(
      fc.property(tensors, (planned) => {
        // The textbook: a stable sort, then one after the other.
        const order = planned.map((tensor, index) => ({ tensor, index }));
        order.sort((a, b) => a.tensor.bits - b.tensor.bits);
        const places = tensorPlaces({ tensors: planned });
        let next = 0;
        for (const { tensor, index } of order) {
          expect(places[index]?.firstValue).to.equal(next);
          next += tensor.kept;
        }
        expect(inMessageOrder(places).map(({ index }) => index)).to.deep.equal(
          order.map(({ index }) => index),
        );
      }),
    );
  });

  it('number coordinates in the order of the plan, whatever the widths', () => {
    fc.assert(
      fc.property(tensors, (planned) => {
        const places = tensorPlaces({ tensors: planned });
        let next = 0;
        for (const [i, { tensor, index, firstElement, elementCount }] of places.entries()) {
          expect(tensor).to.equal(planned[i]);
          expect({ index, firstElement }).to.deep.equal({ index: i, firstElement: next });
          expect(elementCount).to.equal((tensor.shape[0] as number) * (tensor.shape[1] as number));
          next += elementCount;
        }
        expect(sentElements(places)).to.equal(next);
        expect(largestTensor(places)).to.equal(Math.max(...places.map(({ elementCount }) => elementCount)));
      }),
    );
  });

  it('take a shape of nothing for one coordinate', () => {
    const scalar: PlanTensor = { name: 's', shape: [], dtype: 'F32', bits: 4, kept: 1, scale: 1 };
    expect(tensorPlaces({ tensors: [scalar] })[0]?.elementCount).to.equal(1);
  });
});
