import { expect } from 'chai';
import fc from 'fast-check';
import { parseRolloutPlan, percentsByIncrement } from '../../lib/rollout/plan.js';
import { expectRefusal } from '../support/refusals.js';
import { CANDIDATE, PREVIOUS, release, testPlan } from './support/rollout-driver.js';

function percents(options: Parameters<typeof testPlan>[1]): number[] {
  return testPlan(10, options).steps.map(({ percent }) => percent);
}

describe('a rollout plan', () => {
  it('goes from the envelope’s canary through the steps to everybody', () => {
    expect(percents({})).to.deep.equal([10, 25, 50, 100]);
    expect(percents({ percents: [] })).to.deep.equal([10, 100]);
    expect(percents({ percents: [60, 5, 30, 30] })).to.deep.equal([10, 30, 60, 100]);
  });

  it('ends at full where increments do not meet the maximum, or 100', () => {
    expect(percentsByIncrement(10, 30, 75)).to.deep.equal([10, 40, 70, 75, 100]);
    expect(percentsByIncrement(10, 30, 100)).to.deep.equal([10, 40, 70, 100]);
    expect(percentsByIncrement(20, 90, 50)).to.deep.equal([20, 50, 100]);
    expect(percentsByIncrement(20, 1, 10)).to.deep.equal([20, 100]);
  });

  it('grows to 100 for all increments, past every multiple', () => {
    const percent = fc.integer({ min: 1, max: 100 });
    fc.assert(
      fc.property(fc.integer({ min: 5, max: 20 }), percent, percent, (canary, increment, max) => {
        const steps = percentsByIncrement(canary, increment, max);
        expect(steps[0]).to.equal(canary);
        expect(steps.at(-1)).to.equal(100);
        expect(steps).to.deep.equal([...new Set(steps)].sort((a, b) => a - b));
        for (let next = canary; next < max; next += increment) expect(steps).to.include(next);
        if (max >= canary) expect(steps).to.include(max);
      }),
    );
  });

  it('refuses increments that are no percents', async () => {
    await expectRefusal('rollout.bad-increments', () => percentsByIncrement(10, 0, 50));
    await expectRefusal('rollout.bad-increments', () => percentsByIncrement(10, 2.5, 50));
    await expectRefusal('rollout.bad-increments', () => percentsByIncrement(10, 10, 101));
  });

  it('refuses what is no plan', async () => {
    const plan = testPlan(10);
    const step = plan.steps[0];
    for (const broken of [
      undefined,
      { ...plan, steps: [] },
      { ...plan, steps: plan.steps.slice(0, -1) },
      { ...plan, steps: plan.steps.slice(1) },
      { ...plan, steps: [...plan.steps].reverse() },
      { ...plan, steps: [step, ...plan.steps] },
      { ...plan, steps: [{ ...step, percent: 4 }, ...plan.steps.slice(1)] },
      { ...plan, clients: [] },
      { ...plan, clients: ['robot-001', 'robot-001'] },
      { ...plan, clients: ['../robot'] },
      { ...plan, release: release(1, 2) },
      { ...plan, release: { ...CANDIDATE, adapterFingerprint: PREVIOUS.adapterFingerprint } },
      { ...plan, release: { ...CANDIDATE, adapterFingerprint: 'AB'.repeat(32) } },
      { ...plan, analysisIntervalSeconds: 0 },
      { ...plan, analysisIntervalSeconds: 451 },
      {
        ...plan,
        carried: {
          release: CANDIDATE,
          clients: ['a-stranger'],
          adapterFingerprints: [CANDIDATE.adapterFingerprint],
        },
      },
      {
        ...plan,
        carried: {
          release: CANDIDATE,
          clients: ['robot-001'],
          adapterFingerprints: [PREVIOUS.adapterFingerprint],
        },
      },
      { ...plan, unknown: 1 },
    ]) {
      await expectRefusal('rollout.bad-plan', () => parseRolloutPlan(broken));
    }
    await expectRefusal('rollout.bad-plan', () =>
      percents({ envelope: { canaryPercent: 30, automaticRollback: true } }),
    );
  });
});
