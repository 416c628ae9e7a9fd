/** The end of a round. */
import { expect } from 'chai';
import { suspects } from '../../../lib/round/machine/bisect.js';
import type { RoundEvent } from '../../../lib/round/machine/events.js';
import { roundStatus } from '../../../lib/round/machine/status.js';
import { BURNT, clients, fingerprint, OPENS_MS, TestRound, typesOf } from './support/test-round.js';

const NEXT_MS = OPENS_MS + 3_600_000;

function released(round: TestRound, release = 'release'): RoundEvent {
  return { type: 'released', atMs: round.nowMs, release: fingerprint(release) };
}

describe('the end of a round', () => {
  it('comes with a close record of exactly the accepted set', () => {
    const round = TestRound.summed(4, ['client-2']);
    expect(typesOf(round.send(round.closedOpened()))).to.deep.equal([
      'publish',
      'collect-garbage',
      'record-health',
      'plan-next',
    ]);
    expect(round.state.phase).to.equal('opened');
    expect(roundStatus(round.state).outcome).to.deep.equal({
      code: 'opened',
      reason: 'The owner opened the sum of 3 updates; the sum left out 1.',
    });
    expect(round.effectsOf('plan-next')).to.deep.equal([
      { type: 'plan-next', cohort: 'cohort', notBeforeMs: NEXT_MS },
    ]);
  });

  it('says what each client did', () => {
    const round = TestRound.opened({ eligible: clients(6), maxClients: 6 });
    for (const client of clients(4)) round.receive(client);
    round.passToTimer();
    round.receive('client-5');
    round.finish(['client-2']);
    round.send(round.closedOpened());
    expect(round.effectsOf('record-health')[0]?.observations).to.deep.equal([
      { client: 'client-1', kind: 'success' },
      { client: 'client-2', kind: 'rejected' },
      { client: 'client-3', kind: 'success' },
      { client: 'client-4', kind: 'success' },
      { client: 'client-5', kind: 'late' },
      { client: 'client-6', kind: 'absent' },
    ]);
  });

  it('blames nobody for an update that the store lost', () => {
    const round = TestRound.opened({ eligible: clients(4), maxClients: 4 });
    for (const client of clients(4)) round.receive(client);
    const finished = round.finished(['client-2']);
    const refused = finished.refused.map((each) => ({ ...each, code: 'store.blob-missing' }));
    round.send({ ...finished, refused });
    round.send(round.closedOpened());
    expect(round.effectsOf('record-health')[0]?.observations.map(({ client }) => client)).to.deep.equal([
      'client-1',
      'client-3',
      'client-4',
    ]);
  });

  it('does not come with a close record of another set', () => {
    const round = TestRound.summed(4, ['client-2']);
    for (const opened of [clients(4), clients(3), ['client-1', 'client-1', 'client-3', 'client-4']]) {
      const event = { ...round.closedOpened(), opened: opened.map(fingerprint) };
      expect(round.refusal(event)).to.equal('round.close-of-another-set');
    }
    const none = { ...round.closedNone('no'), set: fingerprint('another set') };
    expect(round.refusal(none)).to.equal('round.close-of-another-set');
    expect(round.state.phase).to.equal('awaiting-answers');
  });

  it('does not come with a close record that opens what was never summed, or nothing without a reason', () => {
    const round = TestRound.sealedOff();
    const event = { ...round.closedOpened(), opened: clients(4).map(fingerprint) };
    expect(round.refusal(event)).to.equal('round.close-without-aggregate');
    const { reason: _, ...silent } = round.closedNone('no');
    expect(round.refusal(silent)).to.equal('round.close-without-reason');
  });

  it('has one close record', () => {
    const round = TestRound.summed();
    round.send(round.closedOpened());
    expect(round.send(round.closedOpened()).outcome).to.equal('repeated');
    const another = { ...round.closedNone('no'), record: fingerprint('another record') };
    expect(round.refusal(another)).to.equal('round.another-close');
  });

  it('comes in any phase where the owner opens nothing, with the reason', () => {
    const make = [
      () => new TestRound(),
      () => TestRound.opened(),
      () => TestRound.sealedOff(),
      () => TestRound.summed(),
    ];
    for (const round of make.map((start) => start())) {
      expect(typesOf(round.send(round.closedNone('the plan was wrong')))).to.include.members([
        'publish',
        'collect-garbage',
        'plan-next',
      ]);
      expect(round.state.failure).to.deep.equal({
        code: 'closed-unopened',
        message: 'The owner closed the round unopened: the plan was wrong',
      });
    }
  });

  it('comes by the operator, who says why; garbage and the next round wait for the close record', () => {
    const round = TestRound.summed();
    const abort = { type: 'abort', atMs: round.nowMs, reason: 'a recall of the robots' } as const;
    expect(typesOf(round.send(abort))).to.deep.equal(['publish', 'notify-owner']);
    expect(round.send(abort).outcome).to.equal('repeated');
    expect(round.refusal({ ...abort, reason: 'another' })).to.equal('round.ended');
    expect(round.state.failure?.code).to.equal('aborted');
    expect(typesOf(round.send(round.closedNone('aborted')))).to.deep.equal([
      'publish',
      'collect-garbage',
      'record-health',
      'plan-next',
    ]);
    expect(round.state.failure?.code).to.equal('aborted');
  });

  it('is what the owner says, even where the service had given up', () => {
    const round = TestRound.summed();
    round.passToTimer();
    expect(round.state.failure?.code).to.equal('custodians-missing');
    round.send(round.closedOpened());
    expect(round.state.phase).to.equal('opened');
    expect(roundStatus(round.state).outcome?.reason).to.contain('The service had given up before');
  });

  it('is a release of what was opened, and of nothing else', () => {
    const round = TestRound.summed();
    expect(round.refusal(released(round))).to.equal('round.not-opened');
    round.send(round.closedOpened());
    expect(typesOf(round.send(released(round)))).to.deep.equal(['publish']);
    expect(round.state.phase).to.equal('released');
    expect(round.send(released(round)).outcome).to.equal('repeated');
    expect(round.refusal(released(round, 'another'))).to.equal('round.another-release');
  });

  it('is final: nothing but repetitions is taken then', () => {
    const round = TestRound.summed();
    const sum = round.finished();
    round.answer('custodian-1');
    round.send(round.closedOpened());
    round.send(released(round));
    const { state } = round;
    const { nowMs: atMs } = round;
    const others: RoundEvent[] = [
      { type: 'open', atMs },
      round.received('client-5'),
      round.received('client-1', 'another'),
      { type: 'update-refused', atMs, client: 'client-5', code: 'update.bad', reason: 'bad' },
      { type: 'sum-claimed', atMs, worker: 'worker-1', attempt: 1 },
      round.answered('custodian-2'),
      { type: 'answer-refused', atMs, custodian: 'custodian-2', code: 'custodian.no', reason: 'no' },
      { type: 'abort', atMs, reason: 'no' },
    ];
    for (const event of others) expect(round.refusal(event), event.type).to.equal('round.ended');
    for (const event of [sum, round.answered('custodian-1'), round.received('client-1')]) {
      expect(round.send(event).outcome, event.type).to.equal('repeated');
    }
    expect(round.passTo(atMs * 10).outcome).to.equal('repeated');
    expect(round.state).to.deep.equal(state);
  });
});

describe('a round that fails the owner’s check', () => {
  it('goes on as two cohorts where each can have a quorum', () => {
    const round = TestRound.summed(7, ['client-7'], { eligible: clients(8), maxClients: 8 });
    expect(typesOf(round.send(round.closedNone(BURNT)))).to.deep.equal([
      'publish',
      'collect-garbage',
      'record-health',
      'bisect',
    ]);
    const { failure } = round.state;
    expect(failure?.code).to.equal('burnt');
    expect(failure?.message).to.contain('cohort.1 and cohort.2');
    const [effect] = round.effectsOf('bisect');
    expect(effect?.notBeforeMs).to.equal(NEXT_MS);
    expect(effect?.cohorts.map(({ cohort }) => cohort)).to.deep.equal(['cohort.1', 'cohort.2']);
    expect(effect?.cohorts.flatMap((half) => half.clients)).to.have.members(clients(8));
  });

  it('blames nobody who was in the sum', () => {
    const round = TestRound.summed(4, ['client-4']);
    round.send(round.closedNone(BURNT));
    expect(round.effectsOf('record-health')[0]?.observations).to.deep.equal([
      { client: 'client-4', kind: 'rejected' },
      { client: 'client-5', kind: 'absent' },
    ]);
  });

  it('names the suspects, and is not planned again, where they cannot be split', () => {
    const round = TestRound.summed(5, ['client-2']);
    round.send(round.closedNone(BURNT));
    const suspected = ['client-1', 'client-3', 'client-4', 'client-5'];
    expect(round.state.failure?.message).to.contain(suspected.join(', '));
    expect(suspects(round.state)).to.deep.equal(suspected);
    expect(round.effectsOf('notify-owner')).to.deep.equal([
      { type: 'notify-owner', ask: 'suspend', clients: suspected },
    ]);
    expect(round.effectsOf('plan-next')).to.deep.equal([]);
  });

  it('is one only where there was a sum, and only for a failed check', () => {
    const unsummed = TestRound.sealedOff();
    unsummed.send(unsummed.closedNone(BURNT));
    expect(unsummed.state.failure?.code).to.equal('closed-unopened');
    const summed = TestRound.summed();
    summed.send(summed.closedNone('open.sum-shifted: the aggregator changed it'));
    expect(summed.state.failure?.code).to.equal('closed-unopened');
  });

  it('is one too where the service had given up before', () => {
    const round = TestRound.summed();
    round.passToTimer();
    round.send(round.closedNone(BURNT));
    expect(round.state.failure?.code).to.equal('burnt');
  });
});
