import { expect } from 'chai';
import { changedBy } from '../../../lib/dashboard/model/changes.js';
import { recordsPath } from '../../../lib/dashboard/model/paths.js';

const PLAN = 'ab'.repeat(32);
const PATHS = [
  ...['/v1/rounds', `/v1/rounds/${PLAN}`, `/v1/rounds/${'cd'.repeat(32)}`, '/v1/releases', '/v1/clients'],
  ...[
    recordsPath('privacy', 2000),
    recordsPath('latency', 500),
    '/v1/custody',
    '/v1/rollouts',
    '/v1/rollouts/3',
  ],
];

function outOfDate(type: string, data: unknown): string[] {
  const isChanged = changedBy({ type, data: JSON.stringify(data) });
  return PATHS.filter((path) => isChanged?.(path));
}

describe('what an event makes out of date', () => {
  it('is the round that it is about, and the lists that it stands in', () => {
    expect(outOfDate('round', { plan: PLAN })).to.deep.equal([
      '/v1/rounds',
      `/v1/rounds/${PLAN}`,
      '/v1/releases',
    ]);
  });

  it('is the records of its kind, and what they are made of', () => {
    expect(outOfDate('record', { kind: 'privacy' })).to.deep.equal([
      '/v1/clients',
      recordsPath('privacy', 2000),
    ]);
    expect(outOfDate('record', { kind: 'custody' })).to.deep.equal(['/v1/custody']);
  });

  it('is everything about rollouts', () => {
    expect(outOfDate('rollout', { rollout: 3 })).to.deep.equal([
      '/v1/releases',
      '/v1/clients',
      '/v1/rollouts',
      '/v1/rollouts/3',
    ]);
  });

  it('is nothing where the page does not know the event, or cannot read it', () => {
    expect(changedBy({ type: 'listening', data: '{}' })).to.equal(undefined);
    expect(PATHS.filter(changedBy({ type: 'record', data: '{' }) ?? (() => true))).to.deep.equal([]);
  });
});
