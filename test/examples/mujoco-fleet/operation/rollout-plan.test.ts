import { expect } from 'chai';
import { planWithFloors } from '../../../../examples/mujoco-fleet/operation/rollout-plan.js';
import { presetPolicy } from '../../../../lib/index.js';
import type { RolloutStep } from '../../../../lib/rollout/plan.js';
import { rolloutOrder } from '../../../../lib/rollout/selection.js';
import { rateBounds } from '../../../../lib/rollout/statistics.js';

const CLIENTS = ['client-01', 'client-02', 'client-03', 'client-04'];
const RELEASE = { counter: 2, adapterFingerprint: 'ab'.repeat(32) };
const PREVIOUS = { counter: 1, adapterFingerprint: 'cd'.repeat(32) };
const policy = presetPolicy('balanced');
const ORDER = rolloutOrder(CLIENTS, RELEASE.adapterFingerprint);

function floorOf({ analysis }: RolloutStep): number | undefined {
  return analysis.successCondition.find(({ metric }) => metric === 'success-rate')?.threshold;
}

function plan(past: Parameters<typeof planWithFloors>[0]['past']) {
  const releases = { release: RELEASE, previous: PREVIOUS };
  return planWithFloors({ fleet: 'fleet', ...releases, clients: CLIENTS, policy, past });
}

describe('the plan of a rollout in the MuJoCo fleet', () => {
  it('has a floor for each step: what its robots have shown, less what the profile allows', () => {
    const successes = [95, 50, 90, 20];
    const service = new Map(
      ORDER.map((client, i) => [client, { episodes: 100, successes: successes[i] as number }]),
    );
    const { steps } = plan([service]);
    expect(steps.map(({ percent }) => percent)).to.deep.equal([10, 25, 50, 100]);
    const confidence = (steps[0] as RolloutStep).analysis.confidence;
    const shown = (hits: number, trials: number): number =>
      rateBounds(hits, trials, confidence).lower - policy.safety.maxRegression;
    expect(steps.map(floorOf)).to.deep.equal([
      shown(95, 100),
      shown(95, 100),
      shown(145, 200),
      shown(255, 400),
    ]);
  });

  it('bounds violations and divergence in every step, and has no floor where nothing was shown', () => {
    for (const step of plan([]).steps) {
      expect(floorOf(step)).to.equal(0);
      expect(step.analysis.successCondition.map(({ metric }) => metric)).to.deep.equal([
        'success-rate',
        'violation-rate',
        'kl-divergence-nats',
      ]);
    }
  });
});
