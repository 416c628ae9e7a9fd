import { expect } from 'chai';
import { expectedRelease } from '../../lib/rollout/state.js';
import { drift } from '../../lib/rollout/status.js';
import { expectRefusal } from '../support/refusals.js';
import {
  alertCodes,
  BAD,
  CANDIDATE,
  canary,
  clientIds,
  GOES_BACK,
  GOOD,
  ofType,
  PREVIOUS,
  type RolloutDriver,
  release,
} from './support/rollout-driver.js';

const withdrawn = [CANDIDATE.adapterFingerprint];
const released = { type: 'rollback-released', release: GOES_BACK, to: PREVIOUS.counter, withdrawn } as const;
const manual = { envelope: { canaryPercent: 10, automaticRollback: false } };

function statusOf(rollout: RolloutDriver, client: string): string | undefined {
  return drift(rollout.state).find((entry) => entry.client === client)?.status;
}

describe('an automatic rollback', () => {
  it('comes when analyses fail more often than the limit, each on new telemetry', () => {
    const rollout = canary(10);
    expect(alertCodes(rollout.watch(BAD))).to.deep.equal(['analysis-failed']);
    expect(rollout.state.phase.name).to.equal('canary');
    // The same episodes do not fail twice.
    expect(alertCodes(rollout.tick())).to.deep.equal([]);
    const effects = rollout.watch(BAD);
    expect(rollout.state.phase.name).to.equal('rolling-back');
    expect(alertCodes(effects)).to.deep.equal(['analysis-failed', 'rolling-back']);
    expect(ofType(effects, 'withdraw-offer')).to.deep.equal([{ type: 'withdraw-offer', release: CANDIDATE }]);
    expect(ofType(effects, 'request-rollback-release')).to.deep.equal([
      { type: 'request-rollback-release', to: 1, withdrawn },
    ]);
    for (const id of clientIds(10)) expect(expectedRelease(rollout.state, id)).to.deep.equal(PREVIOUS);
  });

  it('does not advance on a failure within the limit before an analysis passes', () => {
    const rollout = canary(10);
    rollout.watch(GOOD);
    rollout.watch(BAD);
    expect(rollout.state.phase.name).to.equal('canary');
    rollout.watch(GOOD);
    expect(rollout.state.phase.name).to.equal('progressing');
  });

  it('comes when robots fall silent', () => {
    const rollout = canary(10);
    rollout.watch(GOOD);
    rollout.tick();
    rollout.tick();
    expect(rollout.state.phase.name).not.to.equal('rolling-back');
    const silent = canary(10);
    for (let tick = 0; tick < 3; tick += 1) silent.tick();
    expect(silent.state.rollback?.cause).to.equal('missing-telemetry');
  });

  it('does not take the server’s own absence for silence', () => {
    const rollout = canary(10);
    rollout.watch(GOOD);
    rollout.tick(1_000_000);
    expect(rollout.state.phase.name).not.to.equal('rolling-back');
    rollout.watch(GOOD);
    expect(rollout.state.phase.name).to.equal('progressing');
  });

  it('comes when a later verdict fails, in a step and at full', () => {
    const rollout = canary(10);
    rollout.verdict('failed', 'dd'.repeat(32));
    expect(rollout.state.rollback?.cause).to.equal('verdict-failed');
    const full = canary(10);
    full.toFull();
    full.verdict('failed', 'dd'.repeat(32));
    expect(full.state.phase.name).to.equal('rolling-back');
    expect(full.history.active).to.deep.equal(CANDIDATE);
  });

  it('comes in a pause too: robots run the release meanwhile', () => {
    const rollout = canary(10);
    rollout.send({ type: 'pause' });
    rollout.watch(BAD);
    rollout.watch(BAD);
    expect(rollout.state.phase.name).to.equal('rolling-back');
  });
});

describe('without automatic rollback', () => {
  it('a breach pauses, and is neither promoted past nor resumed by mistake', async () => {
    const rollout = canary(10, manual);
    rollout.send({ type: 'pause' });
    rollout.watch(BAD);
    expect(alertCodes(rollout.watch(BAD))).to.deep.equal(['analysis-failed', 'paused']);
    expect(rollout.state.phase).to.deep.equal({ name: 'paused', reason: 'breach', from: 0 });
    await expectRefusal('rollout.breach', () => rollout.send({ type: 'promote', fromStep: 0 }));
    await expectRefusal('rollout.pause-changed', () => rollout.send({ type: 'resume', reason: 'operator' }));
    rollout.send({ type: 'resume', reason: 'breach' });
    await expectRefusal('rollout.breach', () => rollout.send({ type: 'promote', fromStep: 0 }));
    rollout.watch(GOOD);
    expect(rollout.state.phase).to.deep.equal({ name: 'progressing', step: 1 });
  });

  it('silence pauses, and its time starts anew when somebody resumes', async () => {
    const rollout = canary(10, manual);
    for (let tick = 0; tick < 3; tick += 1) rollout.tick();
    expect(rollout.state.phase).to.deep.equal({ name: 'paused', reason: 'missing-telemetry', from: 0 });
    await expectRefusal('rollout.breach', () => rollout.send({ type: 'promote', fromStep: 0 }));
    rollout.send({ type: 'resume', reason: 'missing-telemetry' });
    rollout.tick();
    expect(rollout.state.phase.name).to.equal('canary');
  });

  it('a failed verdict pauses for good', async () => {
    const rollout = canary(10, manual);
    rollout.verdict('failed', 'dd'.repeat(32));
    expect(rollout.state.phase).to.deep.equal({ name: 'paused', reason: 'verdict-failed', from: 0 });
    rollout.verdict('passed');
    await expectRefusal('rollout.no-passed-verdict', () =>
      rollout.send({ type: 'resume', reason: 'verdict-failed' }),
    );
    await expectRefusal('rollout.no-passed-verdict', () => rollout.send({ type: 'promote', fromStep: 0 }));
    rollout.send({ type: 'rollback' });
    expect(rollout.state.rollback?.cause).to.equal('command');
  });

  it('a full release with a failed verdict is offered to nobody more', () => {
    const rollout = canary(10, manual);
    rollout.toFull();
    expect(alertCodes(rollout.verdict('failed', 'dd'.repeat(32)))).to.deep.equal(['verdict-failed']);
    expect(rollout.state.phase.name).to.equal('full');
    expect(rollout.send({ type: 'enrolled', client: 'newcomer', recipient: true })).to.deep.equal([]);
    expect(expectedRelease(rollout.state, 'newcomer')).to.deep.equal(PREVIOUS);
  });
});

describe('going back', () => {
  it('waits for a release of the owner that undoes the bad one, and reminds of it', async () => {
    const rollout = canary(20);
    rollout.send({ type: 'rollback' });
    for (const wrong of [
      { ...released, release: release(2, 1) },
      { ...released, release: release(3, 2) },
      { ...released, release: release(3, 9) },
      { ...released, to: 2 },
      { ...released, withdrawn: ['ab'.repeat(32)] },
    ]) {
      await expectRefusal('rollout.rollback-mismatch', () => rollout.send(wrong));
    }
    const reminders = [1, 2, 3, 4].map(() => alertCodes(rollout.tick()));
    expect(reminders).to.deep.equal([[], [], [], ['rollback-release-outstanding']]);
    rollout.send(released);
    await expectRefusal('rollout.not-now', () => rollout.send({ ...released, release: release(4, 1) }));
    expect(rollout.send(released)).to.deep.equal([]);
  });

  it('offers it to everyone who may run the bad release, and ends when all have confirmed', () => {
    const rollout = canary(20);
    const members = rollout.members();
    // One was offered it and never heard of since; another runs it, though nobody offered it.
    const [online, offline] = members;
    const stray = clientIds(20).find((id) => !members.includes(id)) as string;
    rollout.confirm(online as string, CANDIDATE);
    expect(alertCodes(rollout.confirm(stray, CANDIDATE))).to.deep.equal(['unexpected-release']);
    rollout.send({ type: 'rollback' });
    const effects = rollout.send(released);
    const [offer] = ofType(effects, 'offer-release');
    expect([...(offer?.clients ?? [])].sort()).to.deep.equal([...members, stray].sort());
    expect(ofType(effects, 'publish')).to.deep.equal([{ type: 'publish', release: GOES_BACK }]);
    for (const id of clientIds(20)) expect(expectedRelease(rollout.state, id)).to.deep.equal(GOES_BACK);
    rollout.confirm(online as string, GOES_BACK);
    rollout.confirm(stray, GOES_BACK);
    expect(rollout.state.phase.name).to.equal('rolling-back');
    expect(statusOf(rollout, offline as string)).to.equal('not-reported');
    rollout.confirm(offline as string, CANDIDATE);
    expect(statusOf(rollout, offline as string)).to.equal('withdrawn-adapter');
    // The old release is no confirmation: a download of the bad one may be on its way.
    rollout.confirm(offline as string, PREVIOUS);
    expect(statusOf(rollout, offline as string)).to.equal('same-adapter');
    expect(rollout.state.phase.name).to.equal('rolling-back');
    expect(alertCodes(rollout.confirm(offline as string, GOES_BACK))).to.deep.equal(['ended']);
    expect(rollout.state.phase).to.deep.equal({ name: 'rolled-back' });
    expect(statusOf(rollout, offline as string)).to.equal('as-expected');
    expect(rollout.history.current).to.deep.equal(GOES_BACK);
  });

  it('fails where clients do not confirm, names them, and is mended when the last one does', () => {
    const rollout = canary(20);
    const [first, second] = rollout.members();
    rollout.send({ type: 'rollback' });
    rollout.send(released);
    rollout.confirm(first as string, GOES_BACK);
    for (let tick = 0; tick < 4; tick += 1) rollout.tick();
    expect(rollout.state.phase).to.deep.equal({ name: 'failed', reason: 'rollback-unconfirmed' });
    const alert = ofType(rollout.effects, 'alert').at(-1)?.alert;
    expect(alert).to.deep.equal({ code: 'rollback-unconfirmed', clients: [second] });
    rollout.confirm(second as string, GOES_BACK);
    expect(rollout.state.phase).to.deep.equal({ name: 'rolled-back' });
  });

  it('does not wait for a revoked client, and offers the old release to one that comes back', () => {
    const rollout = canary(20);
    const [first, second] = rollout.members();
    rollout.send({ type: 'rollback' });
    rollout.send(released);
    rollout.confirm(first as string, GOES_BACK);
    rollout.send({ type: 'revoked', client: second as string });
    expect(rollout.state.phase).to.deep.equal({ name: 'rolled-back' });
    const effects = rollout.send({ type: 'enrolled', client: second as string, recipient: true });
    expect(effects).to.deep.equal([{ type: 'offer-release', release: GOES_BACK, clients: [second] }]);
  });

  it('answers a robot that turns up with the withdrawn release after the end', () => {
    const rollout = canary(20);
    rollout.send({ type: 'rollback' });
    rollout.send(released);
    for (const client of rollout.members()) rollout.confirm(client, GOES_BACK);
    expect(rollout.state.phase.name).to.equal('rolled-back');
    const late = clientIds(20).find((id) => !rollout.members().includes(id)) as string;
    const effects = rollout.confirm(late, CANDIDATE);
    expect(alertCodes(effects)).to.deep.equal(['unexpected-release']);
    expect(ofType(effects, 'offer-release')).to.deep.equal([
      { type: 'offer-release', release: GOES_BACK, clients: [late] },
    ]);
  });

  it('goes back from full by command', () => {
    const rollout = canary(10);
    rollout.toFull();
    rollout.send({ type: 'rollback' });
    const [offer] = ofType(rollout.send(released), 'offer-release');
    expect(offer?.clients).to.have.length(10);
    expect(rollout.history.withdrawn.map(({ adapterFingerprint }) => adapterFingerprint)).to.deep.equal(
      withdrawn,
    );
  });
});
