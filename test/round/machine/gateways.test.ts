/** Partial sums that arrive at a round. */
import { expect } from 'chai';
import type { EventOf } from '../../../lib/round/machine/events.js';
import { acceptedUpdates, sentFiles, sentUpdates } from '../../../lib/round/machine/state.js';
import { clients, DEADLINE_MS, fingerprint, TestRound } from './support/test-round.js';

function partialSum(
  round: TestRound,
  numbers: readonly number[],
  { gateway = 'site-a', name }: { readonly gateway?: string; readonly name?: string } = {},
): EventOf<'partial-sum-received'> {
  const contributors = numbers.map((number) => ({
    client: `client-${number}`,
    fingerprint: fingerprint(`client-${number}`),
  }));
  return {
    type: 'partial-sum-received',
    atMs: round.nowMs,
    gateway,
    fingerprint: fingerprint(name ?? `${gateway} ${numbers}`),
    contributors,
  };
}

function sentBy(round: TestRound): string[] {
  return sentUpdates(round.state).map(({ client }) => client);
}

describe('a round that takes partial sums', () => {
  it('has each contributor as one who has sent, and counts them for the quorum', () => {
    const round = TestRound.opened();
    expect(round.send(partialSum(round, [1, 2, 3])).outcome).to.equal('applied');
    expect(sentBy(round)).to.deep.equal(['client-1', 'client-2', 'client-3']);
    expect(round.passTo(DEADLINE_MS).state.phase).to.equal('sealed-off');
  });

  it('seals off once the last of its clients has come in a partial sum', () => {
    const round = TestRound.opened();
    for (const client of clients(3)) round.receive(client);
    round.send(partialSum(round, [4, 5]));
    expect(round.state.phase).to.equal('sealed-off');
  });

  it('names what is to be summed: the updates that clients sent, and each partial sum once', () => {
    const round = TestRound.opened();
    round.receive('client-1');
    const sum = partialSum(round, [2, 3]);
    round.send(sum);
    expect(sentFiles(round.state)).to.deep.equal({
      updates: [fingerprint('client-1')],
      partialSums: [sum.fingerprint],
    });
  });

  it('acknowledges the same partial sum again, and the update of one of its clients that comes directly as well', () => {
    const round = TestRound.opened();
    const sum = partialSum(round, [1, 2]);
    round.send(sum);
    expect(round.send(sum).outcome).to.equal('repeated');
    expect(round.receive('client-1').outcome).to.equal('repeated');
    expect(sentFiles(round.state).updates).to.deep.equal([]);
  });

  it('refuses the whole of one with a client whose update it has by another way, and names that client', () => {
    const round = TestRound.opened();
    round.receive('client-2');
    round.send(partialSum(round, [3, 4], { gateway: 'site-b' }));
    for (const [numbers, name] of [
      [[1, 2], 'client-2'],
      [[1, 3], 'client-3'],
    ] as const) {
      const { refusal } = round.send(partialSum(round, numbers));
      expect(refusal?.code).to.equal('round.contributor-sent');
      expect(refusal?.message).to.contain(name);
    }
    expect(sentBy(round)).to.deep.equal(['client-2', 'client-3', 'client-4']);
  });

  it('never lets a client replace what is in a partial sum', () => {
    const round = TestRound.opened({ secondUpdate: 'replace' });
    round.send(partialSum(round, [1, 2]));
    expect(round.refusal(round.received('client-1', 'another one'))).to.equal('round.second-update');
  });

  it('replaces a partial sum with one that has the same updates, and more', () => {
    const round = TestRound.opened({ secondUpdate: 'replace' });
    round.send(partialSum(round, [1, 2]));
    const larger = partialSum(round, [1, 2, 3]);
    expect(round.send(larger).outcome).to.equal('applied');
    expect(sentFiles(round.state).partialSums).to.deep.equal([larger.fingerprint]);
  });

  it('does not replace it with one that lacks an update, has as many, or has another update of a client', () => {
    const round = TestRound.opened({ secondUpdate: 'replace' });
    round.send(partialSum(round, [1, 2]));
    expect(round.refusal(partialSum(round, [1, 3, 4]))).to.equal('round.partial-sum-smaller');
    expect(round.refusal(partialSum(round, [1, 2], { name: 'made again' }))).to.equal(
      'round.partial-sum-smaller',
    );
    const changed = partialSum(round, [1, 2, 3]);
    const contributors = changed.contributors.with(0, {
      client: 'client-1',
      fingerprint: fingerprint('another one'),
    });
    expect(round.refusal({ ...changed, contributors })).to.equal('round.partial-sum-smaller');
  });

  it('takes one of each gateway where the policy refuses a second', () => {
    const round = TestRound.opened();
    round.send(partialSum(round, [1, 2]));
    expect(round.refusal(partialSum(round, [1, 2, 3]))).to.equal('round.second-update');
    expect(round.send(partialSum(round, [3], { gateway: 'site-b' })).outcome).to.equal('applied');
  });

  it('refuses the whole of one with a stranger, a stale delta, or more clients than it can hold', () => {
    const round = TestRound.opened({ maxClients: 3 });
    expect(round.refusal(partialSum(round, [1, 9]))).to.equal('round.client-not-eligible');
    const stale = partialSum(round, [1]);
    const contributors = stale.contributors.map((one) => ({ ...one, stalenessRounds: 5 }));
    expect(round.refusal({ ...stale, contributors })).to.equal('round.too-stale');
    round.receive('client-1');
    round.receive('client-2');
    round.nowMs = DEADLINE_MS - 1;
    expect(round.refusal(partialSum(round, [3, 4]))).to.equal('round.full');
    expect(sentBy(round)).to.deep.equal(['client-1', 'client-2']);
  });

  it('says of a late one that it came, and holds it against no client', () => {
    const round = TestRound.sealedOff(3);
    const sum = partialSum(round, [4]);
    expect(round.refusal(sum)).to.equal('round.late');
    expect(round.state.refusals.map(({ code, fingerprint: one }) => [code, one])).to.deep.equal([
      ['round.late', sum.fingerprint],
    ]);
    expect(round.state.members.every(({ mark }) => mark === undefined)).to.equal(true);
  });

  it('leaves out all of a partial sum that cannot be summed, each with the reason', () => {
    const round = TestRound.opened();
    for (const client of clients(3)) round.receive(client);
    round.send(partialSum(round, [4, 5]));
    round.claim();
    round.finish(['client-4', 'client-5']);
    expect(acceptedUpdates(round.state).map(({ client }) => client)).to.deep.equal(clients(3));
  });
});
