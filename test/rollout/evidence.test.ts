import { expect } from 'chai';
import fc from 'fast-check';
import { addTelemetry, episodeCap, NO_EVIDENCE, poolEvidence } from '../../lib/rollout/evidence.js';
import { BAD, GOOD } from './support/rollout-driver.js';

describe('evidence', () => {
  it('lets no client count for more than 2/members of the episodes', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1000), { minLength: 1, maxLength: 40 }), (episodes) => {
        const cap = episodeCap(episodes, episodes.length);
        const total = episodes.reduce((sum, count) => sum + Math.min(count, cap), 0);
        expect(cap).to.be.at.most((2 / episodes.length) * total * (1 + 1e-9) + 1e-9);
      }),
    );
  });

  it('uses all that equal clients report', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 40 }), (episodes, members) => {
        expect(episodeCap(new Array(members).fill(episodes), members)).to.be.at.least(episodes);
      }),
    );
  });

  it('draws no conclusion from fewer than half of the members', () => {
    expect(episodeCap([1000, 0, 0], 3)).to.equal(0);
    expect(episodeCap([1000, 10, 0, 0], 4)).to.equal(10);
    expect(episodeCap([], 0)).to.equal(0);
  });

  it('keeps the rates of a client that is held to its share', () => {
    const honest = addTelemetry(NO_EVIDENCE, GOOD);
    const loud = addTelemetry(NO_EVIDENCE, { ...BAD, episodes: 100_000, successes: 0 });
    const { episodes, successes } = poolEvidence([honest, honest, honest, loud]);
    expect(successes).to.equal(3 * 98);
    // The loud one has half of the whole, as 2/4 allows.
    expect(episodes).to.be.closeTo(600, 1e-6);
  });
});
