/** What time does to a round, whoever notices. */
import { expect } from 'chai';
import { dueAtMs } from '../../../lib/round/machine/deadlines.js';
import { acceptedUpdates } from '../../../lib/round/machine/state.js';
import {
  ANSWER_WINDOW_MS,
  clients,
  DEADLINE_MS,
  LEASE_MS,
  OPENS_MS,
  PLANNED_MS,
  TestRound,
  typesOf,
} from './support/test-round.js';

describe('the time of a round', () => {
  it('opens it, seals it off with a quorum, and asks for the sum', () => {
    const round = new TestRound();
    expect(dueAtMs(round.state)).to.equal(OPENS_MS);
    expect(round.passTo(OPENS_MS - 1).outcome).to.equal('repeated');
    expect(typesOf(round.passTo(OPENS_MS))).to.deep.equal(['publish', 'set-timer']);
    for (const client of clients(3)) round.receive(client);
    expect(dueAtMs(round.state)).to.equal(DEADLINE_MS);
    expect(typesOf(round.passTo(DEADLINE_MS))).to.deep.equal(['publish', 'set-timer', 'start-sum']);
    expect(round.state.phase).to.equal('sealed-off');
    expect(round.effectsOf('start-sum')[0]?.updates.map(({ client }) => client)).to.deep.equal(clients(3));
  });

  it('changes nothing the second time, nor when an earlier time comes later', () => {
    const round = TestRound.sealedOff();
    const { state } = round;
    expect(round.passTo(DEADLINE_MS)).to.deep.include({ outcome: 'repeated', effects: [] });
    expect(round.passTo(OPENS_MS)).to.deep.include({ outcome: 'repeated', effects: [] });
    expect(round.state).to.deep.equal(state);
  });

  it('fails a round below its quorum at the deadline, and says how many were missing', () => {
    const round = TestRound.opened();
    for (const client of clients(2)) round.receive(client);
    round.passTo(DEADLINE_MS);
    expect(round.state.failure).to.deep.equal({
      code: 'below-quorum',
      message: '2 of 5 clients had sent an update at the deadline; the quorum is 3.',
    });
    const [published] = round.effectsOf('publish').slice(-1);
    expect(published?.status.outcome?.code).to.equal('below-quorum');
    expect(round.effectsOf('notify-owner').map(({ ask }) => ask)).to.deep.equal(['close']);
  });

  it('fails a round that everybody slept through', () => {
    const round = new TestRound();
    round.passTo(DEADLINE_MS + 1_000_000);
    expect(round.state.failure?.code).to.equal('below-quorum');
  });

  it('records when each phase began, and never runs backwards', () => {
    const round = TestRound.sealedOff();
    round.nowMs = DEADLINE_MS - 10;
    round.claim();
    expect(round.state.enteredAtMs).to.deep.equal({
      planned: PLANNED_MS,
      open: OPENS_MS,
      'sealed-off': DEADLINE_MS,
      summing: DEADLINE_MS,
    });
  });

  it('offers the sum again when nobody has taken it, and fails after the last attempt', () => {
    const round = TestRound.sealedOff();
    for (const attempt of [2, 3]) {
      expect(typesOf(round.passToTimer())).to.deep.equal(['publish', 'set-timer', 'start-sum']);
      expect(round.state.sum?.attempt).to.equal(attempt);
    }
    round.passToTimer();
    expect(round.state.failure?.code).to.equal('summing-failed');
    expect(round.state.failure?.message).to.contain('no worker took it');
  });

  it('takes the sum from a worker that has fallen silent', () => {
    const round = TestRound.sealedOff();
    round.claim('worker-1');
    expect(dueAtMs(round.state)).to.equal(DEADLINE_MS + LEASE_MS);
    round.passToTimer();
    expect(round.state.phase).to.equal('summing');
    expect(round.state.sum).to.deep.equal({ attempt: 2, leaseEndsMs: DEADLINE_MS + 2 * LEASE_MS });
  });

  it('takes one attempt for an outage, however long it was', () => {
    const round = TestRound.sealedOff();
    round.claim('worker-1');
    round.passTo(DEADLINE_MS + 1_000 * LEASE_MS);
    expect(round.state.sum).to.deep.equal({ attempt: 2, leaseEndsMs: DEADLINE_MS + 1_001 * LEASE_MS });
  });

  it('fails a round whose custodians do not answer in time, and names those who refused', () => {
    const round = TestRound.summed();
    round.answer('custodian-1');
    round.send({
      type: 'answer-refused',
      atMs: round.nowMs,
      custodian: 'custodian-2',
      code: 'ledger.round-already-answered',
      reason: 'another set',
    });
    expect(dueAtMs(round.state)).to.equal(DEADLINE_MS + ANSWER_WINDOW_MS);
    round.passToTimer();
    expect(round.state.failure).to.deep.equal({
      code: 'custodians-missing',
      message:
        '1 of 3 custodians had answered in time; 2 are needed. Refused: custodian-2 (ledger.round-already-answered).',
    });
  });

  it('does not end the wait for custodians where there is no window', () => {
    const round = TestRound.sealedOff();
    const { answerWindowMs: _, ...settings } = round.state.settings;
    round.state = { ...round.state, settings };
    round.finish();
    expect(dueAtMs(round.state)).to.equal(undefined);
    round.passTo(DEADLINE_MS + 1_000 * ANSWER_WINDOW_MS);
    expect(round.state.phase).to.equal('awaiting-answers');
    expect(acceptedUpdates(round.state)).to.have.lengthOf(4);
  });
});
