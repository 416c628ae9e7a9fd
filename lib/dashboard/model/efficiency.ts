/** What rounds cost: bytes for a parameter, and where the time went. */
import { LATENCY_STAGES, type LatencyStage } from '../../observability/latency-stages.js';
import type { RecordOf, Spread } from './reported.js';

export interface RoundCost {
  readonly plan: string;
  readonly policy: string;
  readonly cohort: string;
  readonly round: number;
  readonly atMs: number;
  readonly updates: number;
  readonly parameters: number;
  /** Of one update's file, by the parameters of an adapter. */
  readonly bytesPerParameter: number;
  readonly originalBytesPerParameter: number;
  readonly ratio: number;
  readonly effectiveRatio: number;
  readonly wireBytes: number;
  /** Of what was sent: sealed shares, header and signatures. */
  readonly overheadPart: number;
}

/** Rounds with a sum, the oldest first. */
export function roundCosts(records: readonly RecordOf<'compression'>[]): RoundCost[] {
  return records
    .map((record) => {
      const { plan, policy, cohort, round, atMs, updates, parameters, ratio, effectiveRatio } = record;
      const { originalBytes, compressedBytes, wireBytes } = record;
      const numbers = updates * parameters;
      return {
        ...{ plan, policy, cohort, round, atMs, updates, parameters, ratio, effectiveRatio, wireBytes },
        bytesPerParameter: wireBytes / numbers,
        originalBytesPerParameter: originalBytes / numbers,
        overheadPart: wireBytes === 0 ? 0 : (wireBytes - compressedBytes) / wireBytes,
      };
    })
    .sort((a, b) => a.atMs - b.atMs);
}

export interface WaterfallBar {
  readonly stage: LatencyStage;
  /** Medians of the stages before it, together. */
  readonly startMs: number;
  readonly spread: Spread;
}

export interface Waterfall {
  readonly bars: readonly WaterfallBar[];
  readonly totalMs: number;
  readonly missing: readonly LatencyStage[];
}

/** The records of one round, and the newest of the reports of its policy, which name no round. */
export function waterfallOf(
  records: readonly RecordOf<'latency'>[],
  { plan, policy }: { readonly plan: string; readonly policy: string },
): Waterfall {
  const spreads = new Map<LatencyStage, Spread>();
  const newestFirst = [...records].sort((a, b) => b.atMs - a.atMs);
  for (const ofRound of [true, false]) {
    for (const { round, policy: of, stagesMs } of newestFirst) {
      const counts = ofRound ? round?.plan === plan : round === undefined && of === policy;
      if (!counts) continue;
      for (const stage of LATENCY_STAGES) {
        const spread = stagesMs[stage];
        if (spread !== undefined && !spreads.has(stage)) spreads.set(stage, spread);
      }
    }
  }
  let startMs = 0;
  const bars: WaterfallBar[] = [];
  for (const stage of LATENCY_STAGES) {
    const spread = spreads.get(stage);
    if (spread === undefined) continue;
    bars.push({ stage, startMs, spread });
    startMs += spread.median;
  }
  return { bars, totalMs: startMs, missing: LATENCY_STAGES.filter((stage) => !spreads.has(stage)) };
}
