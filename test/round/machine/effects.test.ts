/** What a round asks for, and goes on asking for until it is done. */
import { expect } from 'chai';
import { outstandingEffects } from '../../../lib/round/machine/effects.js';
import { stepThrough } from '../../../lib/round/machine/step.js';
import {
  BURNT,
  clients,
  DEADLINE_MS,
  LEASE_MS,
  OPENS_MS,
  restarted,
  TestRound,
  typesOf,
} from './support/test-round.js';

function outstanding(round: TestRound): string[] {
  return typesOf({ effects: outstandingEffects(restarted(round.state)) });
}

describe('what a round asks for', () => {
  it('can be read from its state by whoever comes after a process that died', () => {
    const round = TestRound.opened();
    expect(outstanding(round)).to.deep.equal(['publish', 'set-timer']);
    for (const client of clients(4)) round.receive(client);
    round.passTo(DEADLINE_MS);
    expect(outstanding(round)).to.deep.equal(['publish', 'set-timer', 'start-sum']);
    round.claim();
    expect(outstanding(round)).to.deep.equal(['publish', 'set-timer']);
    round.passToTimer();
    expect(outstanding(round)).to.deep.equal(['publish', 'set-timer', 'start-sum']);
    round.finish();
    expect(outstanding(round)).to.deep.equal(['publish', 'set-timer', 'request-answers']);
    round.answer('custodian-1');
    round.answer('custodian-2');
    expect(outstanding(round)).to.deep.equal(['publish', 'set-timer', 'request-answers', 'notify-owner']);
    round.send(round.closedNone(BURNT));
    expect(outstanding(round)).to.deep.equal(['publish', 'collect-garbage', 'record-health', 'notify-owner']);
  });

  it('is published with the numbers that changed, and with no name of a client', () => {
    const round = TestRound.opened();
    expect(typesOf(round.receive('client-1'))).to.deep.equal(['publish']);
    const [publish] = round.effectsOf('publish').slice(-1);
    expect(publish?.status).to.deep.include({
      phase: 'open',
      eligible: 5,
      updates: { received: 1, refused: 0 },
      answers: { received: 0, refused: 0, threshold: 2 },
    });
    expect(JSON.stringify(publish)).not.to.contain('client-1');
  });

  it('is nothing when nothing changed', () => {
    const round = TestRound.opened();
    expect(round.send({ type: 'time', atMs: OPENS_MS }).effects).to.deep.equal([]);
    expect(round.receive('stranger').effects.map(({ type }) => type)).to.deep.equal(['publish']);
    expect(round.receive('stranger').effects).to.deep.equal([]);
  });

  it('is, of several events, what the last state asks for', () => {
    const round = TestRound.opened();
    const { effects, results } = stepThrough(round.state, [
      ...clients(5).map((client) => round.received(client)),
      { type: 'sum-claimed', atMs: OPENS_MS, worker: 'worker-1', attempt: 1 },
      round.received('stranger'),
    ]);
    // Somebody has the sum already: nobody else need be told.
    expect(typesOf({ effects })).to.deep.equal(['publish', 'set-timer']);
    expect(effects[1]).to.deep.equal({ type: 'set-timer', atMs: OPENS_MS + LEASE_MS });
    expect(results.map(({ outcome }) => outcome)).to.deep.equal([...new Array(6).fill('applied'), 'refused']);
  });
});
