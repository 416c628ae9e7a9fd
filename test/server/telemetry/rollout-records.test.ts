import { expect } from 'chai';
import { alertsOf } from '../../../lib/observability/alerts.js';
import { rolloutRecordSchema } from '../../../lib/observability/records.js';
import { rolloutRecord } from '../../../lib/server/telemetry/rollout-records.js';
import { canary, PREVIOUS, START_MS } from '../../rollout/support/rollout-driver.js';

describe('records of rollouts', () => {
  it('are left where a rollout comes to another phase or step, and not for every report', () => {
    const driver = canary(10);
    const first = rolloutRecord(undefined, driver.state, START_MS);
    expect(rolloutRecordSchema.parse(first)).to.deep.include({
      ...{ id: 'rollout.pick-and-place.2', phase: 'canary', offered: 1, clients: 10 },
    });
    const before = driver.state;
    driver.confirm(driver.members()[0] ?? '', PREVIOUS);
    driver.tick(1);
    expect(rolloutRecord(before, driver.state, START_MS)).to.equal(undefined);
    driver.send({ type: 'promote', fromStep: 0 });
    const progressing = driver.state;
    expect(rolloutRecord(before, progressing, START_MS)).to.include({ phase: 'progressing', offered: 3 });
    driver.send({ type: 'promote', fromStep: 1 });
    expect(rolloutRecord(progressing, driver.state, START_MS)).to.include({
      phase: 'progressing',
      offered: 5,
    });
  });

  it('are an alarm where robots run what was withdrawn, or somebody has to decide; not where somebody did', () => {
    const driver = canary(10);
    const alarms = () => {
      const record = rolloutRecord(undefined, driver.state, START_MS);
      return record === undefined ? [] : alertsOf(record).map(({ name, message }) => [name, message]);
    };
    expect(alarms()).to.deep.equal([]);
    driver.send({ type: 'pause' });
    expect(alarms()).to.deep.equal([]);
    driver.send({ type: 'rollback' });
    expect(alarms()).to.deep.equal([
      [
        'rollout-rolling-back',
        'The rollout of release 2 of pick-and-place goes back (command): the owner has to sign the release, and robots to take it.',
      ],
    ]);
  });

  it('are an alarm where a rollout pauses by itself', () => {
    const driver = canary(10, { envelope: { canaryPercent: 10, automaticRollback: false } });
    driver.verdict('failed', 'dd'.repeat(32));
    const record = rolloutRecord(undefined, driver.state, START_MS);
    expect(record).to.include({ phase: 'paused', reason: 'verdict-failed' });
    expect(record === undefined ? [] : alertsOf(record).map(({ name }) => name)).to.deep.equal([
      'rollout-paused',
    ]);
  });
});
