/** What the episodes say of each metric: an estimate, its limits, and how many episodes it rests on. */
import type { VerdictMetricName } from '../../package/messages/verdict.js';
import type { OptionalMetric } from '../episodes/episode.js';
import type { EpisodePair } from '../episodes/pairs.js';
import { bootstrapMeanInterval } from '../statistics/bootstrap.js';
import { meanCountInterval } from '../statistics/counts.js';
import type { Interval } from '../statistics/interval.js';
import { mcNemarExact, pairedDifferenceInterval } from '../statistics/paired-rates.js';
import { exactRateInterval } from '../statistics/rates.js';

/** What counts of events are given for: a number of events "in an evaluation" must not depend on how long one lasted. */
export const REFERENCE_EPISODES = 100;

export interface Measurement {
  readonly estimate: number;
  /** Absent where there are too few episodes for limits. */
  readonly interval?: Interval | undefined;
  /** Episodes, or pairs of them. */
  readonly episodes: number;
  /** What was seen, in words. */
  readonly seen: string;
}

type Measure = (pairs: readonly EpisodePair[], limitError: number) => Measurement | undefined;

/** How each metric is measured; undefined where the episodes do not have it. */
export const MEASURES: Readonly<Record<VerdictMetricName, Measure>> = {
  'success-rate': (pairs, limitError) => successRate(pairs, false, limitError),
  'constraint-violations': (pairs, limitError) => eventRate(pairs, 'constraintViolations', limitError),
  'kl-divergence': klDivergence,
  'ood-robustness': (pairs, limitError) => successRate(pairs, true, limitError),
  regression,
  'time-to-complete': timeToComplete,
  collisions: (pairs, limitError) => eventRate(pairs, 'collisions', limitError),
};

/** The candidate's share of successes, inside or outside of the training distribution. */
function successRate(
  pairs: readonly EpisodePair[],
  outOfDistribution: boolean,
  limitError: number,
): Measurement | undefined {
  const episodes = pairs.filter(({ candidate }) => candidate.outOfDistribution === outOfDistribution);
  if (episodes.length === 0) return undefined;
  const successes = episodes.filter(({ candidate }) => candidate.success).length;
  return {
    estimate: successes / episodes.length,
    interval: exactRateInterval(successes, episodes.length, limitError),
    episodes: episodes.length,
    seen: `${successes} of ${episodes.length} episodes succeeded`,
  };
}

/** Events of the candidate in {@link REFERENCE_EPISODES} episodes. */
function eventRate(
  pairs: readonly EpisodePair[],
  metric: Extract<OptionalMetric, 'constraintViolations' | 'collisions'>,
  limitError: number,
): Measurement | undefined {
  const counts = valuesOf(pairs, metric);
  if (counts.length === 0) return undefined;
  const { lower, upper } = meanCountInterval(counts, limitError);
  const total = counts.reduce((sum, count) => sum + count, 0);
  return {
    estimate: (total / counts.length) * REFERENCE_EPISODES,
    interval: { lower: lower * REFERENCE_EPISODES, upper: upper * REFERENCE_EPISODES },
    episodes: counts.length,
    seen: `${total} in ${counts.length} episodes`,
  };
}

function klDivergence(pairs: readonly EpisodePair[], limitError: number): Measurement | undefined {
  const values = valuesOf(pairs, 'klDivergence');
  if (values.length === 0) return undefined;
  const estimate = meanOf(values);
  return {
    estimate,
    interval: around(estimate, bootstrapMeanInterval(values, limitError)),
    episodes: values.length,
    seen: `mean over ${values.length} episodes`,
  };
}

/** How much lower the candidate's success rate is than the baseline's, over all seeds. */
function regression(pairs: readonly EpisodePair[], limitError: number): Measurement {
  const onlyBaseline = pairs.filter(
    ({ candidate, baseline }) => baseline.success && !candidate.success,
  ).length;
  const onlyCandidate = pairs.filter(
    ({ candidate, baseline }) => candidate.success && !baseline.success,
  ).length;
  const counts = { onlyFirst: onlyBaseline, onlySecond: onlyCandidate, pairs: pairs.length };
  const estimate = (onlyBaseline - onlyCandidate) / pairs.length;
  return {
    estimate,
    interval: around(estimate, pairedDifferenceInterval(counts, limitError)),
    episodes: pairs.length,
    seen:
      `of ${pairs.length} seeds ${onlyBaseline} only the baseline managed and ${onlyCandidate} only the candidate ` +
      `(McNemar p = ${mcNemarExact(counts).toPrecision(2)})`,
  };
}

/** Seconds that the candidate takes longer than the baseline, over the seeds on which both succeed. */
function timeToComplete(pairs: readonly EpisodePair[], limitError: number): Measurement | undefined {
  const differences = pairs.flatMap(({ candidate, baseline }) => {
    if (!candidate.success || !baseline.success) return [];
    const [own, other] = [candidate.timeToCompleteSeconds, baseline.timeToCompleteSeconds];
    return own === undefined || other === undefined ? [] : [own - other];
  });
  if (differences.length === 0) return undefined;
  const estimate = meanOf(differences);
  return {
    estimate,
    interval: around(estimate, bootstrapMeanInterval(differences, limitError)),
    episodes: differences.length,
    seen: `seconds longer than the baseline, on ${differences.length} seeds that both managed`,
  };
}

function valuesOf(pairs: readonly EpisodePair[], metric: OptionalMetric): number[] {
  return pairs.flatMap(({ candidate }) => candidate[metric] ?? []);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Rounding may put a limit a bit beyond the estimate where the two are equal. */
function around(estimate: number, interval: Interval | undefined): Interval | undefined {
  if (interval === undefined) return undefined;
  return { lower: Math.min(interval.lower, estimate), upper: Math.max(interval.upper, estimate) };
}
