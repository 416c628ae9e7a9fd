import { expect } from 'chai';
import { expectRefusal } from '../support/refusals.js';
import {
  BAD,
  CANDIDATE,
  canary,
  GOES_BACK,
  GOOD,
  ofType,
  PREVIOUS,
  RolloutDriver,
  testPlan,
} from './support/rollout-driver.js';

describe('commands of a rollout', () => {
  it('promote skips waiting, one step at a time', () => {
    const rollout = canary(10);
    for (const [fromStep, expected] of ['progressing', 'progressing', 'progressing', 'full'].entries()) {
      rollout.send({ type: 'promote', fromStep });
      expect(rollout.state.phase.name).to.equal(expected);
      // Sent twice, it skips nothing.
      const before = rollout.state;
      expect(rollout.send({ type: 'promote', fromStep })).to.deep.equal([]);
      expect(rollout.state).to.deep.equal(before);
    }
    expect(rollout.history.current).to.deep.equal(CANDIDATE);
  });

  it('promote skips neither a verdict nor a breach nor silence', async () => {
    const pending = new RolloutDriver(testPlan(10));
    await expectRefusal('rollout.no-passed-verdict', () => pending.send({ type: 'promote', fromStep: 0 }));
    pending.verdict('inconclusive');
    await expectRefusal('rollout.no-passed-verdict', () => pending.send({ type: 'promote', fromStep: 0 }));
    const rollout = canary(10);
    await expectRefusal('rollout.other-step', () => rollout.send({ type: 'promote', fromStep: 1 }));
    // Not yet analysed, yet already known.
    for (const client of rollout.members()) rollout.telemetry(client, BAD);
    await expectRefusal('rollout.breach', () => rollout.send({ type: 'promote', fromStep: 0 }));
    rollout.tick();
    await expectRefusal('rollout.breach', () => rollout.send({ type: 'promote', fromStep: 0 }));
    const silent = canary(10);
    silent.tick();
    silent.tick();
    silent.nowMs += 300_000;
    await expectRefusal('rollout.breach', () => silent.send({ type: 'promote', fromStep: 0 }));
  });

  it('pause stops what comes next', async () => {
    const rollout = canary(10);
    rollout.send({ type: 'pause' });
    rollout.send({ type: 'pause' });
    for (let tick = 0; tick < 10; tick += 1) rollout.watch(GOOD);
    expect(rollout.state.phase).to.deep.equal({ name: 'paused', reason: 'operator', from: 0 });
    rollout.send({ type: 'resume', reason: 'operator' });
    rollout.send({ type: 'resume', reason: 'operator' });
    rollout.watch(GOOD);
    expect(rollout.state.phase).to.deep.equal({ name: 'progressing', step: 1 });
    const pending = new RolloutDriver(testPlan(10));
    await expectRefusal('rollout.not-now', () => pending.send({ type: 'pause' }));
    await expectRefusal('rollout.not-now', () => pending.send({ type: 'resume', reason: 'operator' }));
  });

  it('abort ends at once where nobody was offered anything, and goes back otherwise', () => {
    const pending = new RolloutDriver(testPlan(10));
    pending.send({ type: 'abort' });
    expect(pending.state.phase).to.deep.equal({ name: 'aborted', reason: 'operator' });
    expect(ofType(pending.effects, 'request-rollback-release')).to.deep.equal([]);
    expect(pending.send({ type: 'abort' })).to.deep.equal([]);
    const rollout = canary(10);
    rollout.send({ type: 'abort' });
    expect(rollout.state.phase.name).to.equal('rolling-back');
    expect(rollout.send({ type: 'abort' })).to.deep.equal([]);
    expect(rollout.send({ type: 'rollback' })).to.deep.equal([]);
    rollout.send({
      type: 'rollback-released',
      release: GOES_BACK,
      to: PREVIOUS.counter,
      withdrawn: [CANDIDATE.adapterFingerprint],
    });
    for (const client of rollout.members()) rollout.confirm(client, GOES_BACK);
    expect(rollout.state.phase).to.deep.equal({ name: 'aborted', reason: 'operator' });
    expect(rollout.history.withdrawn).to.have.length(1);
  });

  it('are refused where they mean nothing, and change nothing then', async () => {
    const pending = new RolloutDriver(testPlan(10));
    const before = structuredClone(pending.state);
    pending.nowMs += 1000;
    await expectRefusal('rollout.not-now', () => pending.send({ type: 'rollback' }));
    expect(pending.state).to.deep.equal(before);
    const full = canary(10);
    full.toFull();
    await expectRefusal('rollout.not-now', () => full.send({ type: 'abort' }));
    await expectRefusal('rollout.not-now', () => full.send({ type: 'pause' }));
    const ended = new RolloutDriver(testPlan(10));
    ended.verdict('failed');
    for (const command of [
      { type: 'pause' },
      { type: 'resume', reason: 'operator' },
      { type: 'promote', fromStep: 0 },
      { type: 'abort' },
      { type: 'rollback' },
    ] as const) {
      await expectRefusal('rollout.not-now', () => ended.send(command));
    }
  });
});
