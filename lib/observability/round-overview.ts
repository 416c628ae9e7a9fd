/** Records put together: of each round what was measured of it, whoever measured it. */
import type { LatencyStage } from './latency-stages.js';
import type { RecordOf, TelemetryRecord } from './records.js';

export interface RoundOverview {
  readonly plan: string;
  readonly policy: string;
  readonly cohort: string;
  readonly round: number;
  /** Of its latest record. */
  readonly atMs: number;
  readonly phase?: RecordOf<'round'>['phase'];
  readonly failure?: string;
  readonly received?: number;
  readonly accepted?: number;
  readonly eligible?: number;
  /** Medians, in milliseconds; of what was measured alone. */
  readonly stagesMs: Readonly<Partial<Record<LatencyStage, number>>>;
  readonly ratio?: number;
  readonly effectiveRatio?: number;
  readonly bytesPerParameter?: number;
}

type Part = RecordOf<'round'> | RecordOf<'latency'> | RecordOf<'compression'>;

/** The latest rounds first. */
export function roundOverviews(records: readonly TelemetryRecord[]): RoundOverview[] {
  const rounds = new Map<string, Part[]>();
  for (const record of records) {
    const plan = planOf(record);
    if (plan !== undefined) rounds.set(plan, [...(rounds.get(plan) ?? []), record as Part]);
  }
  return [...rounds]
    .map(([plan, parts]) => overviewOf(plan, parts))
    .sort((a, b) => b.atMs - a.atMs || b.round - a.round);
}

function planOf(record: TelemetryRecord): string | undefined {
  if (record.kind === 'latency') return record.round?.plan;
  return record.kind === 'round' || record.kind === 'compression' ? record.plan : undefined;
}

function overviewOf(plan: string, parts: readonly Part[]): RoundOverview {
  const named = parts
    .map((part) => (part.kind === 'latency' ? part.round : part))
    .find((each) => each !== undefined);
  if (named === undefined) throw new TypeError('of a round there is at least one record that names it');
  const round = parts.find((part) => part.kind === 'round');
  const compression = parts.find((part) => part.kind === 'compression');
  const stagesMs: Partial<Record<LatencyStage, number>> = {};
  for (const part of parts) {
    if (part.kind !== 'latency') continue;
    for (const [stage, { median }] of Object.entries(part.stagesMs)) stagesMs[stage as LatencyStage] = median;
  }
  return {
    plan,
    ...{ policy: named.policy, cohort: named.cohort, round: named.round },
    atMs: Math.max(...parts.map(({ atMs }) => atMs)),
    stagesMs,
    ...(round !== undefined && { phase: round.phase, received: round.received, eligible: round.eligible }),
    ...(round?.accepted !== undefined && { accepted: round.accepted }),
    ...(round?.failure !== undefined && { failure: round.failure.code }),
    ...(compression !== undefined && {
      ratio: compression.ratio,
      effectiveRatio: compression.effectiveRatio,
      bytesPerParameter: compression.wireBytes / compression.updates / compression.parameters,
    }),
  };
}
