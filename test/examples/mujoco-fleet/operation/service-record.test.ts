import { expect } from 'chai';
import {
  addService,
  type Served,
  shownSuccessRate,
} from '../../../../examples/mujoco-fleet/operation/service-record.js';
import { rateBounds } from '../../../../lib/rollout/statistics.js';

const CONFIDENCE = 0.95;

function service(successes: Readonly<Record<string, number>>, episodes = 100): Map<string, Served> {
  return new Map(
    Object.entries(successes).map(([client, count]) => [client, { episodes, successes: count }]),
  );
}

describe('what robots have shown', () => {
  it('adds up their reports', () => {
    const record = new Map<string, Served>();
    const counts = { episodes: 10, successes: 7, violations: 0, collisions: 0 };
    addService(record, 'a', counts);
    addService(record, 'a', { ...counts, successes: 5 });
    expect(record.get('a')).to.deep.equal({ episodes: 20, successes: 12 });
  });

  it('is the lower bound under the best release, so that small losses do not add up unseen', () => {
    const past = [service({ a: 50, b: 50 }), service({ a: 90, b: 94 }), service({ a: 80, b: 80 })];
    expect(shownSuccessRate(past, ['a', 'b'], CONFIDENCE)).to.equal(rateBounds(184, 200, CONFIDENCE).lower);
  });

  it('is of these robots, whatever others reach at easier sites', () => {
    const past = [service({ hard: 40, easy: 100 })];
    expect(shownSuccessRate(past, ['hard'], CONFIDENCE)).to.equal(rateBounds(40, 100, CONFIDENCE).lower);
  });

  it('is nothing for robots that never reported', () => {
    expect(shownSuccessRate([service({ a: 100 })], ['b'], CONFIDENCE)).to.equal(0);
    expect(shownSuccessRate([], ['a'], CONFIDENCE)).to.equal(0);
  });
});
