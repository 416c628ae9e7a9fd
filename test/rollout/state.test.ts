import { expect } from 'chai';
import { parseRolloutEvent } from '../../lib/rollout/events.js';
import { parseRolloutState, type RolloutState } from '../../lib/rollout/state.js';
import { drift, outstandingEffects } from '../../lib/rollout/status.js';
import { expectRefusal } from '../support/refusals.js';
import { CANDIDATE, canary, GOES_BACK, GOOD, ofType, PREVIOUS, START_MS } from './support/rollout-driver.js';

describe('a stored rollout', () => {
  it('is refused where no rollout comes to such a state', async () => {
    const { state } = canary(10);
    expect(parseRolloutState(structuredClone(state))).to.deep.equal(state);
    const { verdict: _verdict, ...unjudged } = state;
    const { step: _step, ...stepless } = state;
    const [first] = state.clients;
    const broken: unknown[] = [
      null,
      { ...state, schemaVersion: 2 },
      { ...state, extra: 1 },
      { ...state, phase: { name: 'progressing', step: 1 } },
      { ...state, phase: { name: 'canary', step: 0 } },
      { ...state, phase: { name: 'full' } },
      { ...state, phase: { name: 'rolling-back' } },
      { ...state, step: { ...state.step, index: 9 }, phase: { name: 'progressing', step: 9 } },
      unjudged,
      stepless,
      { ...state, verdict: { ...state.verdict, outcome: 'failed' } },
      { ...state, clients: [...state.clients, first] },
      { ...state, clients: state.clients.map((client) => ({ ...client, exposed: false })) },
      {
        ...state,
        rollback: {
          cause: 'breach',
          withdrawn: [CANDIDATE.adapterFingerprint],
          endsAs: 'rolled-back',
          dueMs: 0,
        },
      },
    ];
    for (const input of broken) await expectRefusal('rollout.bad-state', () => parseRolloutState(input));
  });

  it('is refused an event that is none', async () => {
    for (const broken of [
      undefined,
      { type: 'time' },
      { type: 'unknown', atMs: START_MS },
      { type: 'time', atMs: -1 },
      { type: 'promote', atMs: START_MS },
      { type: 'confirm', atMs: START_MS, client: 'robot-001', sequence: -1, runs: PREVIOUS },
      { type: 'telemetry', atMs: START_MS, client: 'robot-001', sequence: 1, runs: PREVIOUS },
      { type: 'enrolled', atMs: START_MS, client: '__proto__', recipient: true },
    ]) {
      await expectRefusal('rollout.bad-event', () => parseRolloutEvent(broken));
    }
  });

  it('tells a server that takes over what it still has to do', () => {
    const rollout = canary(20);
    const [first, second] = rollout.members();
    rollout.confirm(first as string, CANDIDATE);
    expect(outstandingEffects(rollout.state)).to.deep.equal([
      { type: 'offer-release', release: CANDIDATE, clients: [second] },
      { type: 'set-timer', atMs: START_MS + 300_000 },
    ]);
    rollout.send({ type: 'rollback' });
    const withdrawn = [CANDIDATE.adapterFingerprint];
    const request = { type: 'request-rollback-release', to: 1, withdrawn } as const;
    expect(ofType(outstandingEffects(rollout.state), 'request-rollback-release')).to.deep.equal([request]);
    rollout.send({ type: 'rollback-released', release: GOES_BACK, to: 1, withdrawn });
    rollout.confirm(first as string, GOES_BACK);
    expect(outstandingEffects(rollout.state).slice(0, 2)).to.deep.equal([
      { type: 'offer-release', release: GOES_BACK, clients: [second] },
      { type: 'publish', release: GOES_BACK },
    ]);
  });

  it('publishes again at full', () => {
    const rollout = canary(10);
    rollout.toFull();
    for (const client of rollout.members()) rollout.telemetry(client, GOOD);
    expect(outstandingEffects(rollout.state)).to.deep.equal([{ type: 'publish', release: CANDIDATE }]);
  });
});

describe('drift', () => {
  it('holds what each client reports against what it should run', () => {
    const rollout = canary(20);
    const [first, second] = rollout.members();
    rollout.nowMs += 1000;
    rollout.confirm(first as string, CANDIDATE);
    rollout.confirm(second as string, PREVIOUS);
    rollout.send({ type: 'revoked', client: 'robot-007' });
    const entries = new Map(drift(rollout.state).map((entry) => [entry.client, entry]));
    expect(entries.get(first as string)).to.deep.equal({
      client: first,
      expected: CANDIDATE,
      reported: CANDIDATE,
      lastSeenMs: START_MS + 1000,
      status: 'as-expected',
    });
    expect(entries.get(second as string)?.status).to.equal('other-adapter');
    expect(entries.has('robot-007')).to.equal(false);
    const silent = [...entries.values()].filter(({ status }) => status === 'not-reported');
    expect(silent).to.have.length(entries.size - 2);
  });

  it('is of states that JSON holds', () => {
    const state: RolloutState = canary(10).state;
    expect(JSON.parse(JSON.stringify(state))).to.deep.equal(state);
  });
});
