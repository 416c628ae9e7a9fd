/** The gate: episodes and bounds in, outcome and reasons out. Pure: the same episodes have the same outcome. */
import {
  BOUNDED_METRICS,
  type BoundedMetricName,
  boundOutcome,
  isBounded,
  overallOutcome,
  VERDICT_METRICS,
  type VerdictMetric,
  type VerdictMetricName,
  type VerdictOutcome,
  type WaivableMetricName,
} from '../../package/messages/verdict.js';
import type { SafetyThresholds } from '../../policy/profiles/safety.js';
import { type EpisodePair, requireWholeMetrics } from '../episodes/pairs.js';
import { MEASURES, type Measurement, REFERENCE_EPISODES } from './measurements.js';

export interface GateRules {
  readonly safety: SafetyThresholds;
  /** Error probability of each limit, in (0, 0.5); see `planLooks`. */
  readonly limitError: number;
  /** Bounded metrics that may stay unmeasured. Where they are measured, their bounds hold all the same. */
  readonly waived?: readonly WaivableMetricName[];
}

export interface Judgement {
  readonly outcome: VerdictOutcome;
  /** All metrics, in the order of `VERDICT_METRICS`. */
  readonly metrics: readonly VerdictMetric[];
  /** What decided: the violated bounds, or what is open, or that all are met. */
  readonly reasons: readonly string[];
}

type Bound = { readonly atLeast: number } | { readonly atMost: number };

const BOUNDS: Readonly<Record<BoundedMetricName, (safety: SafetyThresholds) => Bound>> = {
  'success-rate': ({ minSuccessRate }) => ({ atLeast: minSuccessRate }),
  'constraint-violations': ({ maxConstraintViolations }) => ({ atMost: maxConstraintViolations }),
  'kl-divergence': ({ maxKlDivergence }) => ({ atMost: maxKlDivergence }),
  'ood-robustness': ({ minOodRobustness }) => ({ atLeast: minOodRobustness }),
  regression: ({ maxRegression }) => ({ atMost: maxRegression }),
};

const UNITS: Readonly<Record<VerdictMetricName, string>> = {
  'success-rate': '',
  'constraint-violations': ` in ${REFERENCE_EPISODES} episodes`,
  'kl-divergence': ' nats',
  'ood-robustness': '',
  regression: '',
  'time-to-complete': ' s',
  collisions: ` in ${REFERENCE_EPISODES} episodes`,
};

/**
 * Judges a candidate by all episodes so far.
 *
 * A candidate that violates one bound is passed with a probability of at most `limitError` a look, however many metrics there
 * are: it would have to be lucky in that one.
 *
 * @throws FormatError `evaluation.partial-metric`
 */
export function judge(pairs: readonly EpisodePair[], rules: GateRules): Judgement {
  requireWholeMetrics(pairs);
  const metrics = VERDICT_METRICS.map((name) =>
    judgeMetric(name, MEASURES[name](pairs, rules.limitError), rules),
  );
  const outcome = overallOutcome(metrics);
  return { outcome, metrics, reasons: reasonsFor(outcome, metrics) };
}

function judgeMetric(
  name: VerdictMetricName,
  measurement: Measurement | undefined,
  { safety, waived = [] }: GateRules,
): VerdictMetric {
  const bound = isBounded(name) ? BOUNDS[name](safety) : undefined;
  if (measurement === undefined) {
    const isWaived = (waived as readonly string[]).includes(name);
    return {
      name,
      ...bound,
      outcome: isWaived ? 'waived' : 'not-measured',
      episodes: 0,
      reason: isWaived ? `${name}: not measured, as the owner allowed` : `${name}: not measured`,
    };
  }
  const { estimate, interval, episodes } = measurement;
  const values = { ...bound, estimate, ...interval };
  const outcome = bound === undefined ? 'reported' : boundOutcome(values);
  return { name, ...values, outcome, episodes, reason: describe(name, measurement, bound) };
}

function describe(name: VerdictMetricName, measurement: Measurement, bound: Bound | undefined): string {
  const { estimate, interval, seen } = measurement;
  const unit = UNITS[name];
  const limits =
    interval === undefined
      ? 'too few episodes, or too much alike, for limits'
      : `limits ${shown(interval.lower)} to ${shown(interval.upper)}`;
  const bounded =
    bound === undefined
      ? ''
      : `, bound ${'atLeast' in bound ? `at least ${bound.atLeast}` : `at most ${bound.atMost}`}`;
  return `${name}: ${shown(estimate)}${unit}, ${limits}${bounded}; ${seen}`;
}

function shown(value: number): string {
  return String(Number(value.toPrecision(4)));
}

function reasonsFor(outcome: VerdictOutcome, metrics: readonly VerdictMetric[]): string[] {
  if (outcome === 'passed') {
    const waived = metrics.filter((metric) => metric.outcome === 'waived').map(({ name }) => name);
    return [
      waived.length === 0
        ? `all ${BOUNDED_METRICS.length} bounds are met`
        : `all bounds are met but those that were waived: ${waived.join(', ')}`,
    ];
  }
  const decisive =
    outcome === 'failed'
      ? metrics.filter((metric) => metric.outcome === 'failed')
      : metrics.filter(
          ({ name, outcome: own }) => own === 'inconclusive' || (own === 'not-measured' && isBounded(name)),
        );
  return decisive.map(({ reason }) => reason);
}
