import { expect } from 'chai';
import fc from 'fast-check';
import { rolloutOrder, stepSize } from '../../lib/rollout/selection.js';
import { CANDIDATE, clientIds, release } from './support/rollout-driver.js';

describe('the clients of a step', () => {
  it('are at least one, rounded up, and never more than there are', () => {
    expect(stepSize(5, 1)).to.equal(1);
    expect(stepSize(5, 20)).to.equal(1);
    expect(stepSize(5, 21)).to.equal(2);
    expect(stepSize(10, 0)).to.equal(0);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 65_536 }), (percent, count) => {
        const size = stepSize(percent, count);
        // In integers, so that the property does not round as the code does.
        expect(100 * size).to.be.at.least(percent * count);
        expect(size === 1 || 100 * (size - 1) < percent * count).to.equal(true);
        expect(stepSize(100, count)).to.equal(count);
      }),
    );
  });

  it('come in an order that is the release’s, not the list’s', () => {
    const clients = clientIds(50);
    const order = rolloutOrder(clients, CANDIDATE.adapterFingerprint);
    expect(rolloutOrder([...clients].reverse(), CANDIDATE.adapterFingerprint)).to.deep.equal(order);
    expect([...order].sort()).to.deep.equal(clients);
    expect(order).not.to.deep.equal(clients);
    expect(rolloutOrder(clients, release(9).adapterFingerprint)).not.to.deep.equal(order);
  });

  it('keep their order when another client joins', () => {
    const order = rolloutOrder(clientIds(20), CANDIDATE.adapterFingerprint);
    const joined = rolloutOrder([...clientIds(20), 'newcomer'], CANDIDATE.adapterFingerprint);
    expect(joined.filter((id) => id !== 'newcomer')).to.deep.equal(order);
  });

  it('are the ones that every version of this package chooses', () => {
    // Frozen: two servers of different versions that disagree would offer the release to both choices.
    expect(rolloutOrder(clientIds(5), CANDIDATE.adapterFingerprint)).to.deep.equal(FROZEN_ORDER);
  });
});

const FROZEN_ORDER = ['robot-004', 'robot-002', 'robot-001', 'robot-005', 'robot-003'];
