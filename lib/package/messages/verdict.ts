/** The verdict (`.tgv`): what an evaluation found of a candidate adapter, metric by metric. Signed by the owner. */
import { z } from 'zod';
import { compareBytes } from '../fingerprint.js';
import { bytes32Schema, finiteSchema, idSchema, integerSchema, textSchema } from './common.js';
import type { MessageType } from './message-type.js';

/** Those that the policy has a bound for. None can be left out of a verdict. */
export const BOUNDED_METRICS = [
  'success-rate',
  'constraint-violations',
  'kl-divergence',
  'ood-robustness',
  'regression',
] as const;
/** Those that are reported and decide nothing. */
export const REPORTED_METRICS = ['time-to-complete', 'collisions'] as const;
export const VERDICT_METRICS = [...BOUNDED_METRICS, ...REPORTED_METRICS] as const;
export type VerdictMetricName = (typeof VERDICT_METRICS)[number];
export type BoundedMetricName = (typeof BOUNDED_METRICS)[number];

/** What an evaluator may be unable to measure; whether an episode succeeded it always knows. */
export const WAIVABLE_METRICS = ['constraint-violations', 'kl-divergence', 'ood-robustness'] as const;
export type WaivableMetricName = (typeof WAIVABLE_METRICS)[number];

export const VERDICT_OUTCOMES = ['passed', 'failed', 'inconclusive'] as const;
export type VerdictOutcome = (typeof VERDICT_OUTCOMES)[number];

/** `waived` is not measured, and the owner said beforehand that it need not be. */
const METRIC_OUTCOMES = [...VERDICT_OUTCOMES, 'not-measured', 'waived', 'reported'] as const;

export const EVALUATOR_KINDS = ['command', 'module', 'function', 'eval-info'] as const;
export type EvaluatorKind = (typeof EVALUATOR_KINDS)[number];

const reasonSchema = textSchema(512);
/** More looks would need 2^32 times as many episodes as the first. */
const looksSchema = integerSchema(1, 32);

const metricShape = z.strictObject({
  name: z.enum(VERDICT_METRICS),
  outcome: z.enum(METRIC_OUTCOMES),
  atLeast: finiteSchema.optional(),
  atMost: finiteSchema.optional(),
  estimate: finiteSchema.optional(),
  lower: finiteSchema.optional(),
  upper: finiteSchema.optional(),
  /** Episodes, or pairs of them, that it was measured in. */
  episodes: integerSchema(0),
  reason: reasonSchema,
});

export type VerdictMetric = z.infer<typeof metricShape>;

const verdictShape = z.strictObject({
  fleet: idSchema,
  candidate: bytes32Schema,
  baseline: bytes32Schema,
  safety: bytes32Schema,
  evaluator: z.enum(EVALUATOR_KINDS),
  confidence: z.number().gt(0.5).lt(1),
  limitError: z.number().gt(0).lt(0.5),
  looks: z.strictObject({ made: looksSchema, planned: looksSchema }),
  episodes: integerSchema(1),
  firstSeed: integerSchema(0, 2 ** 32 - 1).optional(),
  attempt: integerSchema(1, 2 ** 32 - 1),
  replaces: bytes32Schema.optional(),
  outcome: z.enum(VERDICT_OUTCOMES),
  metrics: z.array(metricShape).length(VERDICT_METRICS.length),
  reasons: z.array(reasonSchema).min(1).max(VERDICT_METRICS.length),
});

export type VerdictBody = z.infer<typeof verdictShape>;

/**
 * The rule for one bound: met or violated only where the limit on that side says so. Without limits nothing is decided.
 */
export function boundOutcome(
  metric: Pick<VerdictMetric, 'atLeast' | 'atMost' | 'lower' | 'upper'>,
): VerdictOutcome {
  const { atLeast, atMost, lower, upper } = metric;
  if (lower === undefined || upper === undefined) return 'inconclusive';
  if (atLeast !== undefined) {
    if (lower >= atLeast) return 'passed';
    if (upper < atLeast) return 'failed';
  }
  if (atMost !== undefined) {
    if (upper <= atMost) return 'passed';
    if (lower > atMost) return 'failed';
  }
  return 'inconclusive';
}

/** The rule for all: one violated bound fails a candidate; it passes when every bound is met or waived. */
export function overallOutcome(metrics: readonly Pick<VerdictMetric, 'name' | 'outcome'>[]): VerdictOutcome {
  const bounded = metrics.filter(({ name }) => isBounded(name));
  if (bounded.some(({ outcome }) => outcome === 'failed')) return 'failed';
  return bounded.every(({ outcome }) => outcome === 'passed' || outcome === 'waived')
    ? 'passed'
    : 'inconclusive';
}

export function isBounded(name: VerdictMetricName): name is BoundedMetricName {
  return (BOUNDED_METRICS as readonly string[]).includes(name);
}

export function isWaivable(name: VerdictMetricName): name is WaivableMetricName {
  return (WAIVABLE_METRICS as readonly string[]).includes(name);
}

/** Why a metric cannot be what it says it is, if it cannot. */
function metricFault(metric: VerdictMetric): string | undefined {
  const { name, outcome, atLeast, atMost, estimate, lower, upper } = metric;
  const bounds = [atLeast, atMost].filter((bound) => bound !== undefined).length;
  if (bounds !== (isBounded(name) ? 1 : 0)) return `has ${bounds} bounds`;
  if ((lower === undefined) !== (upper === undefined)) return 'has one limit of two';
  if (lower !== undefined && upper !== undefined && lower > upper) return 'has limits in the wrong order';
  if (outcome === 'not-measured' || outcome === 'waived') {
    if (outcome === 'waived' && !isWaivable(name)) return 'cannot be waived';
    return estimate === undefined && lower === undefined ? undefined : `is ${outcome} and has a value`;
  }
  if (estimate === undefined) return 'has no estimate';
  const expected = isBounded(name) ? boundOutcome(metric) : 'reported';
  return outcome === expected ? undefined : `is ${outcome}, and its bound and limits make it ${expected}`;
}

/** A verdict is an argument, and a reader checks that its conclusions follow. */
export const verdictSchema = verdictShape.superRefine((verdict, context) => {
  const refuse = (path: (string | number)[], message: string): void => {
    context.addIssue({ code: 'custom', path, message });
  };
  const { metrics, looks, outcome, attempt, replaces } = verdict;
  if (compareBytes(verdict.candidate, verdict.baseline) === 0)
    refuse(['baseline'], 'is the candidate itself');
  if (looks.made > looks.planned) refuse(['looks', 'made'], 'is more than were planned');
  if (attempt > 1 !== (replaces !== undefined)) refuse(['replaces'], 'is for an attempt after the first one');
  for (const [i, metric] of metrics.entries()) {
    const expected = VERDICT_METRICS[i];
    if (metric.name !== expected)
      refuse(['metrics', i, 'name'], `must be ${expected}: all metrics, in this order`);
    const fault = metricFault(metric);
    if (fault !== undefined) refuse(['metrics', i, 'outcome'], fault);
  }
  if (outcome !== overallOutcome(metrics)) refuse(['outcome'], 'does not follow from the metrics');
});

export const verdictMessage: MessageType<VerdictBody> = {
  extension: '.tgv',
  schema: verdictSchema,
  sections: [],
};
