/** The plan of a rollout: the package's own, with floors that each step's robots have to keep. */
import type { ReleaseReference } from '../../../lib/package/release-reference.js';
import type { Policy } from '../../../lib/policy/policy.js';
import { parseRolloutPlan, planRollout, type RolloutPlan } from '../../../lib/rollout/plan.js';
import { rolloutOrder, stepSize } from '../../../lib/rollout/selection.js';
import { POLICY_NAME } from '../fleet/encrypted-fleet.js';
import { type FleetService, shownSuccessRate } from './service-record.js';

export const REPORT_INTERVAL_SECONDS = 300;
const STEP_SECONDS = 600;
/** Each interval brings as many episodes again, so that what is not decided after so many will hardly be. */
const INCONCLUSIVE_LIMIT = 8;

export interface PlanRequest {
  readonly fleet: string;
  readonly release: ReleaseReference;
  readonly previous: ReleaseReference;
  readonly clients: readonly string[];
  readonly policy: Pick<Policy, 'envelope' | 'safety'>;
  /** Under each earlier release that the whole fleet ran. */
  readonly past: readonly FleetService[];
}

/**
 * One floor for all robots would be too low for most sites and too high for some, so each step's is what its own robots have
 * shown to reach, less the regression that the safety profile allows.
 */
export function planWithFloors(request: PlanRequest): RolloutPlan {
  const { fleet, release, previous, clients, policy, past } = request;
  const { envelope, safety } = policy;
  const plan = planRollout({
    fleet,
    policy: POLICY_NAME,
    release,
    previous,
    clients,
    envelope,
    safety,
    minimumDurationSeconds: STEP_SECONDS,
    analysisIntervalSeconds: REPORT_INTERVAL_SECONDS,
    analysis: { inconclusiveLimit: INCONCLUSIVE_LIMIT },
  });
  const order = rolloutOrder(clients, release.adapterFingerprint);
  const steps = plan.steps.map((step) => {
    const members = order.slice(0, stepSize(step.percent, clients.length));
    const shown = shownSuccessRate(past, members, step.analysis.confidence);
    const floor = Math.max(0, shown - safety.maxRegression);
    const successCondition = [
      { metric: 'success-rate', must: 'be-at-least', threshold: floor },
      ...step.analysis.successCondition.filter(({ metric }) => metric !== 'success-rate'),
      { metric: 'kl-divergence-nats', must: 'be-at-most', threshold: safety.maxKlDivergence },
    ];
    return { ...step, analysis: { ...step.analysis, successCondition } };
  });
  return parseRolloutPlan({ ...plan, steps });
}
