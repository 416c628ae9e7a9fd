/** The analysis of a step: telemetry against the conditions of the plan, each with confidence. */
import { z } from 'zod';
import type { Evidence } from './evidence.js';
import { type Bounds, meanBounds, rateBounds } from './statistics.js';

export const METRICS = [
  'success-rate',
  'violation-rate',
  'collision-rate',
  'kl-divergence-nats',
  'latency-ms',
] as const;

/** One thing that has to hold. Rates are shares of episodes; the other two are means over episodes. */
export const conditionSchema = z
  .strictObject({
    metric: z.enum(METRICS),
    must: z.enum(['be-at-least', 'be-at-most']),
    threshold: z.number().min(0).max(1e9),
  })
  .refine(({ metric, threshold }) => !metric.endsWith('-rate') || threshold <= 1, {
    error: 'the threshold of a rate is from 0 to 1',
  });

export type Condition = Readonly<z.infer<typeof conditionSchema>>;

export const analysisSchema = z
  .strictObject({
    successCondition: z.array(conditionSchema).min(1).max(16),
    /** Of each bound at each analysis; how often one looks is not corrected for. */
    confidence: z.number().min(0.5).max(0.999999),
    /** Below this number of episodes nothing is concluded. */
    minimumEpisodes: z.int().min(1).max(1_000_000),
    /** Failed analyses that a step survives; each needs new telemetry. */
    failureLimit: z.int().min(0).max(100),
    /** Inconclusive analyses after the minimum duration that a step survives before it pauses. */
    inconclusiveLimit: z.int().min(0).max(1000),
    /** How long the step's clients may be silent. */
    telemetryTimeoutSeconds: z.int().min(1).max(2_592_000),
    /** Percent of the step's clients that must have reported within that time. */
    minimumReportingPercent: z.int().min(1).max(100),
  })
  .readonly();

export type Analysis = z.infer<typeof analysisSchema>;
export type AnalysisOutcome = 'passed' | 'failed' | 'inconclusive';

export interface AnalysedCondition {
  readonly condition: Condition;
  readonly bounds: Bounds;
  readonly outcome: AnalysisOutcome;
}

export interface AnalysisResult {
  readonly outcome: AnalysisOutcome;
  /** Episodes that counted; not a whole number where a client was held to its share. */
  readonly episodes: number;
  readonly conditions: readonly AnalysedCondition[];
}

function boundsOf(metric: Condition['metric'], evidence: Evidence, confidence: number): Bounds {
  switch (metric) {
    case 'success-rate':
      return rateBounds(evidence.successes, evidence.episodes, confidence);
    case 'violation-rate':
      return rateBounds(evidence.violations, evidence.episodes, confidence);
    case 'collision-rate':
      return rateBounds(evidence.collisions, evidence.episodes, confidence);
    case 'kl-divergence-nats':
      return meanBounds(evidence.klDivergence, confidence);
    case 'latency-ms':
      return meanBounds(evidence.latencyMs, confidence);
  }
}

function judge({ must, threshold }: Condition, { lower, upper }: Bounds): AnalysisOutcome {
  if (must === 'be-at-least') {
    if (lower >= threshold) return 'passed';
    return upper < threshold ? 'failed' : 'inconclusive';
  }
  if (upper <= threshold) return 'passed';
  return lower > threshold ? 'failed' : 'inconclusive';
}

/**
 * 'passed' where every condition holds with confidence, 'failed' where one is broken with confidence. A metric that
 * nobody reports is inconclusive, not fine.
 */
export function analyse(analysis: Analysis, evidence: Evidence): AnalysisResult {
  const conditions = analysis.successCondition.map((condition): AnalysedCondition => {
    const bounds = boundsOf(condition.metric, evidence, analysis.confidence);
    return { condition, bounds, outcome: judge(condition, bounds) };
  });
  return { outcome: outcomeOf(conditions, evidence, analysis), episodes: evidence.episodes, conditions };
}

function outcomeOf(
  conditions: readonly AnalysedCondition[],
  evidence: Evidence,
  analysis: Analysis,
): AnalysisOutcome {
  if (evidence.episodes < analysis.minimumEpisodes) return 'inconclusive';
  const outcomes = conditions.map(({ outcome }) => outcome);
  if (outcomes.includes('failed')) return 'failed';
  return outcomes.every((outcome) => outcome === 'passed') ? 'passed' : 'inconclusive';
}
