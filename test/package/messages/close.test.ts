import { expect } from 'chai';
import { bytes32 } from '../fixtures.js';
import { describeRefusals, issuesOf } from './refusals.js';

describe('a close record', () => {
  describeRefusals(
    'close',
    ['set', 'reason'],
    [
      ['updates out of order', ({ opened }) => ({ opened: [...opened].reverse() }), 'opened'],
      ['an update twice', () => ({ opened: [bytes32(1), bytes32(1)], set: undefined }), 'opened'],
      ['an update twice beside a set digest', () => ({ opened: [bytes32(1), bytes32(1)] }), 'opened'],
      ['things that are no fingerprints', () => ({ opened: [1, 'x'] }), 'opened.0'],
      ['a set digest that is not that of the opened updates', () => ({ set: bytes32(1) }), 'set'],
      ['nothing opened without a reason', () => ({ opened: [], set: undefined }), 'reason'],
      ['nothing opened with an empty reason', () => ({ opened: [], set: undefined, reason: '' }), 'reason'],
    ],
  );

  it('may say that nothing was opened and why, with the set that could not be', () => {
    expect(issuesOf('close', { opened: [], set: undefined, reason: 'residuals too large' })).to.deep.equal(
      [],
    );
    expect(issuesOf('close', { opened: [], set: bytes32(1), reason: 'residuals too large' })).to.deep.equal(
      [],
    );
  });

  it('may list what was opened without the set digest', () => {
    expect(issuesOf('close', { set: undefined })).to.deep.equal([]);
  });
});
