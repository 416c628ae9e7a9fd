/** Which bounds a candidate is held to: a fleet that is being set up has none yet that is good. */
import type { VerdictMetric } from '../../../lib/package/messages/verdict.js';
import type { SafetyThresholds } from '../../../lib/policy/profiles/safety.js';

export const STAGES = ['set-up', 'operation'] as const;
export type Stage = (typeof STAGES)[number];

/**
 * Before the fleet has been good enough once, the profile's floors would keep every robot on what is worse than the
 * candidate: until then it has to be no worse than what runs, and within all other bounds.
 */
export function safetyIn(stage: Stage, safety: SafetyThresholds): SafetyThresholds {
  return stage === 'operation' ? safety : { ...safety, minSuccessRate: 0, minOodRobustness: 0 };
}

/** Whether an adapter has shown that it is above the profile's floors, with the confidence of its verdict. */
export function showsFloors(metrics: readonly VerdictMetric[], safety: SafetyThresholds): boolean {
  const shows = (name: VerdictMetric['name'], floor: number): boolean =>
    metrics.some((metric) => metric.name === name && (metric.lower ?? 0) >= floor);
  return shows('success-rate', safety.minSuccessRate) && shows('ood-robustness', safety.minOodRobustness);
}
