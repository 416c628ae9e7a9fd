import { expect } from 'chai';
import { type PlanSegment, planArithmetic } from '../../lib/lwe/plan.js';
import { CiphertextSum } from '../../lib/round/ciphertext-sum.js';
import { packElements, unpackElements } from '../support/oracle/packing.js';
import { seededBytes } from '../support/oracle/seeded.js';

const N = 1024;

describe('the running sum of ciphertexts', () => {
  for (const values of [1000, 4000]) {
    it(`is the naive sum mod 2^k after each of 20 updates of ${values} values`, async () => {
      const plan = planArithmetic({
        parameterSet: 'lwe-128',
        maxClients: 20,
        segments: [{ bits: 6, valueCount: values, fold: 1 }],
      });
      const { ringElements, ciphertextBytes } = plan;
      const [{ wireBits }] = plan.segments as [PlanSegment];
      const naive = Array.from({ length: ringElements }, () => new Uint32Array(N));
      const updates: Uint8Array[] = [];
      for (let count = 1; count <= 20; count += 1) {
        const update = seededBytes(count, 'ciphertext', ciphertextBytes);
        updates.push(update);
        for (const [e, element] of unpackElements(update, N, ringElements, wireBits).entries()) {
          const total = naive[e] as Uint32Array;
          element.forEach((wire, i) => {
            total[i] = ((total[i] as number) + wire) % 2 ** wireBits;
          });
        }
        const sum = new CiphertextSum(plan);
        for (const summand of updates) {
          sum.slot().set(summand);
          await sum.accept();
        }
        expect(Buffer.from(await sum.finish()), `${count} updates`).to.deep.equal(
          packElements(naive, wireBits),
        );
      }
    });
  }

  it('counts nothing that was read into a slot and not accepted', async () => {
    const plan = planArithmetic({
      parameterSet: 'lwe-128',
      maxClients: 4,
      segments: [{ bits: 4, valueCount: 100 }],
    });
    const sum = new CiphertextSum(plan);
    const [first, refused, second] = [1, 2, 3].map((seed) => seededBytes(seed, 'x', plan.ciphertextBytes));
    sum.slot().set(first as Uint8Array);
    await sum.accept();
    sum.slot().set(refused as Uint8Array);
    sum.slot().set(second as Uint8Array);
    await sum.accept();
    const expected = new CiphertextSum(plan);
    for (const summand of [second, first]) {
      expected.slot().set(summand as Uint8Array);
      await expected.accept();
    }
    expect(Buffer.from(await sum.finish())).to.deep.equal(Buffer.from(await expected.finish()));
  });
});
