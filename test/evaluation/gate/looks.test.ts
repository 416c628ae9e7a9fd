import { expect } from 'chai';
import fc from 'fast-check';
import { planLooks, singleLook } from '../../../lib/evaluation/gate/looks.js';
import { expectRefusal } from '../../support/refusals.js';

describe('the looks of an evaluation', () => {
  for (const [first, max, episodes] of [
    [100, 800, [100, 200, 400, 800]],
    [100, 1000, [100, 200, 400, 1000]],
    [100, 199, [100]],
    [100, 200, [100, 200]],
    [100, 399, [100, 399]],
    [800, 800, [800]],
    [1, 1, [1]],
  ] as const) {
    it(`are after ${episodes.join(', ')} episodes, from ${first} up to ${max}`, () => {
      expect(planLooks(first, max, 0.95).episodes).to.deep.equal(episodes);
    });
  }

  it('share the error, grow, and never go beyond the limit', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000_000 }), fc.nat(1_000_000), (first, more) => {
        const { episodes, limitError } = planLooks(first, Math.min(1_000_000, first + more), 0.95);
        expect(limitError * episodes.length).to.be.closeTo(0.05, 1e-12);
        expect(episodes[0]).to.equal(first);
        expect(episodes.at(-1)).to.be.at.most(first + more);
        expect(episodes.every((count, i) => i === 0 || count >= 2 * (episodes[i - 1] as number))).to.equal(
          true,
        );
        expect(episodes.length).to.be.at.most(20);
      }),
    );
  });

  it('do not begin beyond the limit', async () => {
    await expectRefusal('evaluation.episode-limit', () => planLooks(801, 800, 0.95));
  });

  it('are one, with the whole error, where all episodes are there', () => {
    const { episodes, limitError } = singleLook(50, 0.95);
    expect(episodes).to.deep.equal([50]);
    expect(limitError).to.be.closeTo(0.05, 1e-12);
  });
});
