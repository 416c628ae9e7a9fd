import { expect } from 'chai';
import {
  beginInHistory,
  newRolloutHistory,
  parseRolloutHistory,
  recordRollout,
} from '../../lib/rollout/history.js';
import { parseRolloutPlan } from '../../lib/rollout/plan.js';
import { startRollout, supersedeRollout } from '../../lib/rollout/start.js';
import { expectedRelease } from '../../lib/rollout/state.js';
import { expectRefusal } from '../support/refusals.js';
import {
  CANDIDATE,
  canary,
  clientIds,
  GOES_BACK,
  GOOD,
  ofType,
  PREVIOUS,
  RolloutDriver,
  release,
  START_MS,
  testPlan,
  VERDICT,
} from './support/rollout-driver.js';

const rolledBack = (): RolloutDriver => {
  const rollout = canary(10);
  rollout.send({ type: 'rollback' });
  rollout.send({
    type: 'rollback-released',
    release: GOES_BACK,
    to: PREVIOUS.counter,
    withdrawn: [CANDIDATE.adapterFingerprint],
  });
  for (const client of rollout.members()) rollout.confirm(client, GOES_BACK);
  return rollout;
};

describe('the history of rollouts', () => {
  it('lets one rollout run at a time', async () => {
    const { history } = new RolloutDriver(testPlan(10));
    const next = testPlan(10, { release: release(5) });
    await expectRefusal('rollout.in-progress', () => startRollout({ plan: next, history, atMs: START_MS }));
  });

  it('knows the one release that is current', async () => {
    const rollout = canary(10);
    rollout.toFull();
    const { history } = rollout;
    const stale = testPlan(10, { release: release(5) });
    await expectRefusal('rollout.other-previous', () =>
      startRollout({ plan: stale, history, atMs: START_MS }),
    );
    const older = testPlan(10, { release: release(2, 7) });
    await expectRefusal('rollout.older', () => startRollout({ plan: older, history, atMs: START_MS }));
    const next = testPlan(10, { release: release(5), previous: CANDIDATE });
    expect(startRollout({ plan: next, history, atMs: START_MS }).history.active).to.deep.equal(release(5));
  });

  it('lets an adapter that was rolled back from return only by an override that names it', async () => {
    const { history } = rolledBack();
    const again = testPlan(10, { release: release(4, 2), previous: GOES_BACK });
    const start = (adapterFingerprint?: string) =>
      startRollout({
        plan: again,
        history,
        atMs: START_MS,
        ...(adapterFingerprint !== undefined && { override: { adapterFingerprint } }),
      });
    await expectRefusal('rollout.rolled-back', () => start());
    await expectRefusal('rollout.rolled-back', () => start('ab'.repeat(32)));
    const started = start(CANDIDATE.adapterFingerprint);
    expect(started.history.withdrawn).to.deep.equal([]);
    // The override lets it start, not skip its verdict.
    expect(started.state.phase).to.deep.equal({ name: 'pending' });
  });

  it('withdraws the adapter as soon as the rollback begins, and takes the counter of the release that goes back', () => {
    const rollout = canary(10);
    rollout.send({ type: 'rollback' });
    expect(rollout.history.withdrawn).to.have.length(1);
    expect(rollout.history.active).to.deep.equal(CANDIDATE);
    expect(rolledBack().history).to.deep.include({ current: GOES_BACK, latestCounter: GOES_BACK.counter });
  });

  it('is not changed by recording twice, or by an earlier rollout', () => {
    const { state, history } = rolledBack();
    expect(recordRollout(history, state)).to.deep.equal(history);
    const override = { adapterFingerprint: CANDIDATE.adapterFingerprint };
    const later = beginInHistory(
      history,
      testPlan(10, { release: release(4, 2), previous: GOES_BACK }),
      override,
    );
    expect(recordRollout(later, state)).to.deep.equal(later);
  });

  it('refuses what is no history', async () => {
    const history = newRolloutHistory(PREVIOUS);
    expect(parseRolloutHistory(JSON.parse(JSON.stringify(history)))).to.deep.equal(history);
    for (const broken of [undefined, {}, { ...history, schemaVersion: 2 }, { ...history, withdrawn: [1] }]) {
      await expectRefusal('rollout.bad-history', () => parseRolloutHistory(broken));
    }
  });
});

describe('a newer release that supersedes one in its canary', () => {
  const newer = release(5);
  const verdict = {
    adapterFingerprint: newer.adapterFingerprint,
    outcome: 'passed',
    verdict: VERDICT,
  } as const;
  const supersede = (rollout: RolloutDriver, changes: Parameters<typeof testPlan>[1] = {}) =>
    supersedeRollout({
      superseded: rollout.state,
      plan: testPlan(20, { release: newer, ...changes }),
      history: rollout.history,
      atMs: rollout.nowMs,
      verdict,
    });

  it('takes over the clients that may run it, and no more than a canary', () => {
    const rollout = canary(20);
    const before = rollout.members();
    const { ended, state, history, effects } = supersede(rollout);
    expect(ended.phase).to.deep.equal({ name: 'aborted', reason: 'superseded' });
    expect(state.phase).to.deep.equal({ name: 'canary' });
    expect(history.active).to.deep.equal(newer);
    const [offer] = ofType(effects, 'offer-release');
    expect(offer?.release).to.deep.equal(newer);
    expect([...(offer?.clients ?? [])].sort()).to.deep.equal(before);
    for (const id of clientIds(20)) {
      expect(expectedRelease(state, id)).to.deep.equal(before.includes(id) ? newer : PREVIOUS);
    }
  });

  it('watches the clients that it takes over from its first state on', () => {
    const carried = {
      release: CANDIDATE,
      clients: ['robot-003'],
      adapterFingerprints: [CANDIDATE.adapterFingerprint],
    };
    const plan = parseRolloutPlan({ ...testPlan(20, { release: newer }), carried });
    const pending = new RolloutDriver(plan);
    expect(expectedRelease(pending.state, 'robot-003')).to.deep.equal(CANDIDATE);
    expect(expectedRelease(pending.state, 'robot-004')).to.deep.equal(PREVIOUS);
    // They may run an adapter that nobody wants any more: without a verdict too, they have to go back.
    pending.verdict('failed');
    expect(pending.state.phase.name).to.equal('rolling-back');
    const aborted = new RolloutDriver(plan);
    aborted.send({ type: 'abort' });
    expect(aborted.state.phase.name).to.equal('rolling-back');
  });

  it('withdraws both adapters where it is rolled back itself', () => {
    const { state, history } = supersede(canary(20));
    const next = new RolloutDriver(testPlan(20));
    next.state = state;
    next.history = history;
    const [request] = ofType(next.send({ type: 'rollback' }), 'request-rollback-release');
    expect(request?.withdrawn).to.deep.equal([CANDIDATE.adapterFingerprint, newer.adapterFingerprint].sort());
    expect(next.history.withdrawn).to.have.length(2);
  });

  it('is refused without a passed verdict, for an older release, and past the canary', async () => {
    const rollout = canary(20);
    const options = {
      superseded: rollout.state,
      plan: testPlan(20, { release: newer }),
      history: rollout.history,
      atMs: rollout.nowMs,
    };
    await expectRefusal('rollout.no-passed-verdict', () =>
      supersedeRollout({ ...options, verdict: { ...verdict, outcome: 'inconclusive' } }),
    );
    await expectRefusal('rollout.other-verdict', () =>
      supersedeRollout({ ...options, verdict: { ...verdict, adapterFingerprint: 'ab'.repeat(32) } }),
    );
    await expectRefusal('rollout.older', () => supersede(rollout, { release: release(2, 9) }));
    await expectRefusal('rollout.bad-plan', () => supersede(rollout, { clients: ['somebody-else'] }));
    rollout.watchUntilNext(GOOD);
    await expectRefusal('rollout.not-now', () => supersede(rollout));
  });

  it('closes the way back from a full release that it replaces', async () => {
    const rollout = canary(10);
    rollout.toFull();
    rollout.send({ type: 'superseded', by: newer });
    rollout.send({ type: 'superseded', by: newer });
    expect(rollout.state.phase.name).to.equal('full');
    await expectRefusal('rollout.superseded', () => rollout.send({ type: 'rollback' }));
  });
});
