/** What outlier tests say of the sealed set. */
import { expect } from 'chai';
import type { EventOf } from '../../../lib/round/machine/events.js';
import { sentUpdates } from '../../../lib/round/machine/state.js';
import { clients, fingerprint, TestRound } from './support/test-round.js';

const TEST = { test: 'a-test', reason: 'it is twice as large as the others' };

function judged(
  round: TestRound,
  names: readonly string[],
  action: 'flag' | 'refuse' = 'flag',
): EventOf<'outliers-judged'> {
  const flagged = names.map((name) => ({ fingerprint: fingerprint(name), ...TEST }));
  return { type: 'outliers-judged', atMs: round.nowMs, action, flagged };
}

function flaggedIn({ state }: TestRound): string[] {
  return sentUpdates(state)
    .filter(({ update }) => update.outlier !== undefined)
    .map(({ client }) => client);
}

describe('outliers of a round', () => {
  it('are marked once the set is sealed off, with the test and its reason, and change nothing else', () => {
    const round = TestRound.sealedOff();
    round.claim();
    const before = round.state;
    expect(round.send(judged(round, ['client-2'])).outcome).to.equal('applied');
    expect(round.state.outliers).to.deep.equal({ action: 'flag' });
    expect(flaggedIn(round)).to.deep.equal(['client-2']);
    const [, second] = round.state.members;
    expect(second?.update?.outlier).to.deep.equal(TEST);
    expect({ ...round.state, outliers: undefined, members: [] }).to.deep.equal({
      ...before,
      outliers: undefined,
      members: [],
    });
    expect(round.finish().outcome).to.equal('applied');
    expect(flaggedIn(round)).to.deep.equal(['client-2']);
  });

  it('are those of the first judgement, whatever a later one says', () => {
    const round = TestRound.sealedOff();
    round.claim();
    round.send(judged(round, ['client-1'], 'refuse'));
    expect(round.send(judged(round, ['client-2'])).outcome).to.equal('repeated');
    expect(flaggedIn(round)).to.deep.equal(['client-1']);
    expect(round.state.outliers).to.deep.equal({ action: 'refuse' });
    round.passToTimer();
    round.claim('worker-2', 2);
    expect(round.send(judged(round, [])).outcome).to.equal('repeated');
    round.finish([], 'worker-2');
    expect(round.send(judged(round, [])).outcome).to.equal('repeated');
  });

  it('are not judged before the sealing-off, nor after the sum or the end', () => {
    const open = TestRound.opened();
    for (const client of clients(4)) open.receive(client);
    expect(open.refusal(judged(open, ['client-1']))).to.equal('round.not-sealed-off');
    const summed = TestRound.summed();
    expect(summed.refusal(judged(summed, ['client-1']))).to.equal('round.sum-done');
    const ended = TestRound.sealedOff();
    ended.send({ type: 'abort', atMs: ended.nowMs, reason: 'a test' });
    expect(ended.refusal(judged(ended, ['client-1']))).to.equal('round.ended');
  });

  it('are updates of the sealed set, each once', () => {
    const round = TestRound.sealedOff();
    for (const names of [['client-5'], ['client-1', 'stranger'], ['client-1', 'client-1']]) {
      expect(round.refusal(judged(round, names))).to.equal('round.outlier-of-another-set');
    }
    expect(flaggedIn(round)).to.deep.equal([]);
  });
});
