import { expect } from 'chai';
import { expectedRelease } from '../../lib/rollout/state.js';
import { expectRefusal } from '../support/refusals.js';
import {
  alertCodes,
  CANDIDATE,
  canary,
  clientIds,
  GOOD,
  ofType,
  PREVIOUS,
  RolloutDriver,
  testPlan,
  UNCLEAR,
  VERDICT,
} from './support/rollout-driver.js';

describe('a rollout from canary to full', () => {
  it('offers nothing before a verdict', () => {
    const rollout = new RolloutDriver(testPlan(10));
    rollout.tick();
    rollout.tick(1_000_000);
    expect(rollout.state.phase).to.deep.equal({ name: 'pending' });
    expect(rollout.effects).to.deep.equal([]);
    for (const id of clientIds(10)) expect(expectedRelease(rollout.state, id)).to.deep.equal(PREVIOUS);
  });

  it('offers to the canary once the verdict on this adapter has passed', async () => {
    const rollout = new RolloutDriver(testPlan(20));
    const other = {
      type: 'verdict',
      adapterFingerprint: 'ab'.repeat(32),
      outcome: 'passed',
      verdict: VERDICT,
    } as const;
    await expectRefusal('rollout.other-verdict', () => rollout.send(other));
    expect(alertCodes(rollout.verdict('inconclusive'))).to.deep.equal(['verdict-inconclusive']);
    expect(rollout.verdict('inconclusive')).to.deep.equal([]);
    expect(rollout.state.phase).to.deep.equal({ name: 'pending' });
    const [offer] = ofType(rollout.verdict('passed', 'dd'.repeat(32)), 'offer-release');
    expect(rollout.state.phase).to.deep.equal({ name: 'canary' });
    expect(offer?.release).to.deep.equal(CANDIDATE);
    expect(offer?.clients).to.have.length(2);
    const offered = new Set(offer?.clients);
    for (const id of clientIds(20)) {
      expect(expectedRelease(rollout.state, id)).to.deep.equal(offered.has(id) ? CANDIDATE : PREVIOUS);
    }
  });

  it('ends where the verdict fails', () => {
    const rollout = new RolloutDriver(testPlan(10));
    expect(alertCodes(rollout.verdict('failed'))).to.deep.equal(['verdict-failed', 'ended']);
    expect(rollout.state.phase).to.deep.equal({ name: 'failed', reason: 'verdict-failed' });
    expect(rollout.history.active).to.equal(undefined);
    // No later verdict makes up for it.
    expect(rollout.verdict('passed')).to.deep.equal([]);
    expect(rollout.state.phase.name).to.equal('failed');
  });

  it('walks every step, each containing the one before, and publishes at the end', () => {
    const rollout = canary(40);
    const sizes = [rollout.members().length];
    let before = rollout.members();
    while (rollout.state.phase.name !== 'full') {
      rollout.watchUntilNext(GOOD);
      expect(rollout.members()).to.include.members(before);
      before = rollout.members();
      if (rollout.state.phase.name === 'progressing') sizes.push(before.length);
    }
    expect(sizes).to.deep.equal([4, 10, 20, 40]);
    expect(ofType(rollout.effects, 'publish')).to.deep.equal([{ type: 'publish', release: CANDIDATE }]);
    expect(ofType(rollout.effects, 'offer-release').flatMap(({ clients }) => clients)).to.have.length(40);
    expect(rollout.history.current).to.deep.equal(CANDIDATE);
    expect(rollout.history.active).to.equal(undefined);
  });

  it('keeps steps that select the same clients, each with its own duration and analysis', () => {
    const rollout = canary(1);
    const phases: string[] = [];
    while (rollout.state.phase.name !== 'full') {
      phases.push(JSON.stringify(rollout.state.phase));
      rollout.watch(GOOD);
    }
    // Two ticks make the minimum duration of each of four steps.
    expect(phases).to.have.length(8);
    expect(new Set(phases)).to.have.length(4);
    expect(ofType(rollout.effects, 'offer-release')).to.have.length(1);
  });

  it('leaves no step before its minimum duration is over', () => {
    const rollout = canary(10);
    rollout.watch(GOOD);
    expect(rollout.state.step?.conclusion).to.equal('passed');
    expect(rollout.state.phase.name).to.equal('canary');
    rollout.watch(GOOD);
    expect(rollout.state.phase).to.deep.equal({ name: 'progressing', step: 1 });
  });

  it('leaves no step by telemetry of an earlier one', () => {
    const rollout = canary(10);
    rollout.watchUntilNext(GOOD);
    rollout.tick();
    rollout.tick();
    expect(rollout.state.phase).to.deep.equal({ name: 'progressing', step: 1 });
  });

  it('leaves no step while too few of its clients report, however good what the others say is', () => {
    const rollout = canary(50);
    const [crashed, offline, ...reporting] = rollout.members();
    for (let tick = 0; tick < 2; tick += 1) {
      for (const client of [crashed, offline]) rollout.confirm(client as string, CANDIDATE);
      for (const client of reporting) rollout.telemetry(client, GOOD);
      rollout.tick();
    }
    expect(rollout.state.step?.conclusion).to.equal('passed');
    expect(rollout.state.phase.name).to.equal('canary');
    rollout.telemetry(crashed as string, { episodes: 0, successes: 0, violations: 0, collisions: 0 });
    rollout.tick(1);
    expect(rollout.state.phase.name).to.equal('progressing');
  });

  it('carries no telemetry over into the step that an operator promotes to', () => {
    const rollout = canary(1);
    for (const client of rollout.members()) rollout.telemetry(client, GOOD);
    rollout.send({ type: 'promote', fromStep: 0 });
    rollout.tick();
    rollout.tick();
    expect(rollout.state.step?.conclusion).to.equal(undefined);
    expect(rollout.state.phase).to.deep.equal({ name: 'progressing', step: 1 });
  });

  it('counts telemetry of the release alone, once, and from those alone that were offered it', async () => {
    const rollout = canary(10);
    const [member] = rollout.members();
    const outsider = clientIds(10).find((id) => id !== member) as string;
    rollout.telemetry(outsider, GOOD);
    rollout.telemetry(member as string, GOOD, PREVIOUS);
    const report = {
      type: 'telemetry',
      client: member as string,
      sequence: 1000,
      runs: CANDIDATE,
      telemetry: GOOD,
    } as const;
    rollout.send(report);
    rollout.send(report);
    rollout.send({ ...report, sequence: 999 });
    const windows = rollout.state.clients.map(({ window }) => window?.episodes ?? 0);
    expect(windows.reduce((a, b) => a + b)).to.equal(GOOD.episodes);
    await expectRefusal('rollout.client-not-enrolled', () => rollout.telemetry('stranger', GOOD));
  });

  it('pauses where analyses conclude nothing, and goes on when told to', async () => {
    const rollout = canary(10);
    rollout.watchUntilNext(UNCLEAR);
    expect(rollout.state.phase).to.deep.equal({ name: 'paused', reason: 'inconclusive', from: 0 });
    // An unclear step waits for its minimum duration, and for three analyses more.
    expect(rollout.nowMs).to.equal(1_700_000_000_000 + 5 * 300_000);
    await expectRefusal('rollout.pause-changed', () => rollout.send({ type: 'resume', reason: 'operator' }));
    rollout.send({ type: 'resume', reason: 'inconclusive' });
    expect(rollout.state.phase).to.deep.equal({ name: 'canary' });
    while (rollout.state.phase.name !== 'progressing')
      rollout.watch({ ...GOOD, episodes: 1000, successes: 980 });
  });

  it('sets a timer in every watched state, never in the past', () => {
    const rollout = canary(10);
    const timer = () => ofType(rollout.effects, 'set-timer').at(-1)?.atMs;
    expect(timer()).to.equal(rollout.nowMs + 300_000);
    rollout.tick(100);
    expect(timer()).to.equal(rollout.nowMs + 200_000);
    rollout.tick(200);
    expect(timer()).to.equal(rollout.nowMs + 300_000);
  });
});

describe('clients that join and leave', () => {
  it('fills a step when a member is revoked', async () => {
    const rollout = canary(20);
    const [gone] = rollout.members();
    const [offer] = ofType(rollout.send({ type: 'revoked', client: gone as string }), 'offer-release');
    expect(offer?.clients).to.have.length(1);
    expect(rollout.members()).to.have.length(2);
    expect(expectedRelease(rollout.state, gone as string)).to.equal(undefined);
    await expectRefusal('rollout.client-not-enrolled', () => rollout.telemetry(gone as string, GOOD));
    expect(rollout.send({ type: 'revoked', client: gone as string })).to.deep.equal([]);
  });

  it('takes in a newcomer with the steps, if the release is for it', () => {
    const rollout = canary(20);
    rollout.send({ type: 'enrolled', client: 'newcomer', recipient: true });
    rollout.send({ type: 'enrolled', client: 'too-late', recipient: false });
    expect(rollout.members()).not.to.include('newcomer');
    while (rollout.state.phase.name !== 'full') rollout.watchUntilNext(GOOD);
    expect(rollout.members()).to.include('newcomer');
    expect(rollout.members()).not.to.include('too-late');
    const [offer] = ofType(
      rollout.send({ type: 'enrolled', client: 'after-full', recipient: true }),
      'offer-release',
    );
    expect(offer?.clients).to.deep.equal(['after-full']);
  });

  it('lets a client that comes back under another key count from the start', () => {
    const rollout = canary(10);
    const [member] = rollout.members();
    rollout.telemetry(member as string, GOOD);
    rollout.send({ type: 'revoked', client: member as string });
    rollout.send({ type: 'enrolled', client: member as string, recipient: true });
    rollout.send({ type: 'confirm', client: member as string, sequence: 0, runs: PREVIOUS });
    const client = rollout.state.clients.find(({ id }) => id === member);
    expect(client?.reported).to.deep.equal(PREVIOUS);
  });

  it('goes back where no client is left to report', () => {
    const rollout = canary(1);
    rollout.send({ type: 'revoked', client: 'robot-001' });
    for (let tick = 0; tick < 3; tick += 1) rollout.tick();
    expect(rollout.state.phase.name).to.equal('rolling-back');
  });
});
