/** The sum of a sealed set. */
import { expect } from 'chai';
import type { EventOf } from '../../../lib/round/machine/events.js';
import { acceptedUpdates, digestOfSet, sentUpdates } from '../../../lib/round/machine/state.js';
import { clients, fingerprint, LEASE_MS, TestRound, typesOf } from './support/test-round.js';

function failed(round: TestRound, changes: Partial<EventOf<'sum-failed'>> = {}): EventOf<'sum-failed'> {
  return {
    type: 'sum-failed',
    atMs: round.nowMs,
    worker: 'worker-1',
    attempt: 1,
    code: 'storage.failed',
    reason: 'the disk is full',
    retryable: true,
    ...changes,
  };
}

function finished(round: TestRound, changes: Partial<EventOf<'sum-finished'>>): EventOf<'sum-finished'> {
  return { ...round.finished(), ...changes };
}

describe('the sum of a round', () => {
  it('is claimed by one worker, which shows that it lives by claiming again', () => {
    const round = TestRound.sealedOff();
    expect(typesOf(round.claim('worker-1'))).to.deep.equal(['publish']);
    expect(round.state.phase).to.equal('summing');
    round.nowMs += 10;
    expect(typesOf(round.claim('worker-1'))).to.deep.equal(['set-timer']);
    expect(round.state.sum?.leaseEndsMs).to.equal(round.nowMs + LEASE_MS);
    expect(round.claim('worker-1').outcome).to.equal('repeated');
  });

  it('is refused to a second worker while the first one has it', () => {
    const round = TestRound.sealedOff();
    round.claim('worker-1');
    expect(
      round.refusal({ type: 'sum-claimed', atMs: round.nowMs, worker: 'worker-2', attempt: 1 }),
    ).to.equal('round.sum-claimed');
  });

  it('is not claimed for an attempt that is over, not even by a claim that comes twice', () => {
    const round = TestRound.sealedOff();
    const claim = { type: 'sum-claimed', atMs: round.nowMs, worker: 'worker-1', attempt: 1 } as const;
    round.send(claim);
    round.passToTimer();
    expect(round.refusal(claim)).to.equal('round.attempt-over');
    expect(round.claim('worker-2', 2).outcome).to.equal('applied');
  });

  it('is neither claimed nor finished before the sealing-off, nor claimed once it is there', () => {
    const round = TestRound.opened();
    const claim = { type: 'sum-claimed', atMs: round.nowMs, worker: 'worker-1', attempt: 1 } as const;
    expect(round.refusal(claim)).to.equal('round.not-sealed-off');
    expect(round.refusal(finished(round, { accepted: [fingerprint('client-1')] }))).to.equal(
      'round.not-sealed-off',
    );
    expect(TestRound.summed().refusal(claim)).to.equal('round.sum-done');
  });

  it('makes the custodians be asked, and tells who was left out and why', () => {
    const round = TestRound.sealedOff();
    round.claim();
    expect(typesOf(round.finish(['client-2']))).to.deep.equal(['publish', 'set-timer', 'request-answers']);
    const accepted = ['client-1', 'client-3', 'client-4'].map(fingerprint);
    expect(round.state.aggregate?.set).to.equal(digestOfSet(accepted));
    expect(acceptedUpdates(round.state).map(({ update }) => update.fingerprint)).to.deep.equal(accepted);
    expect(sentUpdates(round.state)[1]?.update.refused).to.deep.equal({
      code: 'update.bad-shares',
      reason: 'a share does not open',
    });
  });

  const wrongSets: [string, (accepted: readonly string[]) => readonly string[]][] = [
    ['has an update that is not in the set', (accepted) => [...accepted, fingerprint('stranger')]],
    ['is silent about one that is', (accepted) => accepted.slice(1)],
    ['counts one twice', (accepted) => [...accepted.slice(1), accepted[1] as string]],
    ['has another one in place of one', (accepted) => [...accepted.slice(1), fingerprint('stranger')]],
  ];
  for (const [what, change] of wrongSets) {
    it(`is refused when it ${what}`, () => {
      const round = TestRound.sealedOff();
      round.claim();
      const { accepted } = finished(round, {});
      expect(round.refusal(finished(round, { accepted: change(accepted) }))).to.equal(
        'round.aggregate-of-another-set',
      );
      expect(round.state.phase).to.equal('summing');
    });
  }

  it('is refused when it accepts and refuses the same update', () => {
    const round = TestRound.sealedOff();
    const refused = [{ fingerprint: fingerprint('client-1'), code: 'update.bad', reason: 'bad' }];
    expect(round.refusal(finished(round, { refused }))).to.equal('round.aggregate-of-another-set');
  });

  it('is refused below the quorum', () => {
    const round = TestRound.sealedOff();
    expect(round.refusal(round.finished(['client-1', 'client-2']))).to.equal('round.aggregate-below-quorum');
  });

  it('is taken from a worker whose lease has run out', () => {
    const round = TestRound.sealedOff();
    round.claim('worker-1');
    round.passToTimer();
    round.claim('worker-2');
    expect(round.finish([], 'worker-1').outcome).to.equal('applied');
    expect(round.state.aggregate?.worker).to.equal('worker-1');
  });

  it('stays the first one when a second worker finishes with the same set', () => {
    const round = TestRound.summed();
    const { state } = round;
    expect(round.finish([], 'worker-2').outcome).to.equal('repeated');
    expect(round.state).to.deep.equal(state);
  });

  it('stays the first one when a second worker refuses others', () => {
    const round = TestRound.summed();
    expect(round.refusal(finished(round, { accepted: clients(3).map(fingerprint) }))).to.equal(
      'round.another-aggregate',
    );
  });

  it('is tried again by anybody when a worker has failed', () => {
    const round = TestRound.sealedOff();
    round.claim();
    expect(typesOf(round.send(failed(round)))).to.deep.equal(['publish', 'start-sum']);
    expect(round.state.sum?.attempt).to.equal(2);
    expect(round.refusal(failed(round))).to.equal('round.attempt-over');
  });

  it('fails with the last reason after the last attempt', () => {
    const round = TestRound.sealedOff();
    for (const attempt of [1, 2, 3]) {
      round.claim();
      round.send(failed(round, { attempt }));
    }
    expect(round.state.failure?.code).to.equal('summing-failed');
    expect(round.state.failure?.message).to.contain('storage.failed: the disk is full');
  });

  it('fails at once when another attempt cannot do better, and keeps who was refused', () => {
    const round = TestRound.sealedOff();
    round.claim();
    round.send(
      failed(round, {
        retryable: false,
        code: 'aggregate.below-quorum',
        reason: '2 of 4 updates can be summed',
        refused: [{ fingerprint: fingerprint('client-1'), code: 'update.bad', reason: 'bad' }],
      }),
    );
    expect(round.state.failure?.message).to.contain('2 of 4 updates can be summed');
    expect(sentUpdates(round.state)[0]?.update.refused?.code).to.equal('update.bad');
  });

  it('is not failed by a worker that does not have it, or that speaks of other updates', () => {
    const round = TestRound.sealedOff();
    expect(round.refusal(failed(round))).to.equal('round.sum-claimed');
    round.claim();
    expect(round.refusal(failed(round, { worker: 'worker-2' }))).to.equal('round.sum-claimed');
    const refused = [{ fingerprint: fingerprint('stranger'), code: 'update.bad', reason: 'bad' }];
    expect(round.refusal(failed(round, { retryable: false, refused }))).to.equal(
      'round.aggregate-of-another-set',
    );
  });
});
