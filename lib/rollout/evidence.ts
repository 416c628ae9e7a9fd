/** Evidence: robots' counts, added up. */
import { z } from 'zod';
import type { EpisodeCounts } from '../observability/episode-counts.js';

const sumSchema = z.number().min(0);
const momentSumsSchema = z.strictObject({ count: sumSchema, sum: sumSchema, sumOfSquares: sumSchema });

/** Sums of telemetry: every metric is there, with a count of 0 where nothing was reported. */
export const evidenceSchema = z.strictObject({
  episodes: sumSchema,
  successes: sumSchema,
  violations: sumSchema,
  collisions: sumSchema,
  klDivergence: momentSumsSchema,
  latencyMs: momentSumsSchema,
});

export type Evidence = Readonly<z.infer<typeof evidenceSchema>>;
type MomentSums = Evidence['klDivergence'];

const NO_MOMENTS: MomentSums = { count: 0, sum: 0, sumOfSquares: 0 };

export const NO_EVIDENCE: Evidence = {
  episodes: 0,
  successes: 0,
  violations: 0,
  collisions: 0,
  klDivergence: NO_MOMENTS,
  latencyMs: NO_MOMENTS,
};

function addMoments(left: MomentSums, right: MomentSums = NO_MOMENTS): MomentSums {
  return {
    count: left.count + right.count,
    sum: left.sum + right.sum,
    sumOfSquares: left.sumOfSquares + right.sumOfSquares,
  };
}

export function addTelemetry(evidence: Evidence, telemetry: EpisodeCounts): Evidence {
  return {
    episodes: evidence.episodes + telemetry.episodes,
    successes: evidence.successes + telemetry.successes,
    violations: evidence.violations + telemetry.violations,
    collisions: evidence.collisions + telemetry.collisions,
    klDivergence: addMoments(evidence.klDivergence, telemetry.klDivergence),
    latencyMs: addMoments(evidence.latencyMs, telemetry.latencyMs),
  };
}

function scaleMoments({ count, sum, sumOfSquares }: MomentSums, factor: number): MomentSums {
  return { count: count * factor, sum: sum * factor, sumOfSquares: sumOfSquares * factor };
}

/** The same rates and means, weighing `factor` as much. */
function scale(evidence: Evidence, factor: number): Evidence {
  return {
    episodes: evidence.episodes * factor,
    successes: evidence.successes * factor,
    violations: evidence.violations * factor,
    collisions: evidence.collisions * factor,
    klDivergence: scaleMoments(evidence.klDivergence, factor),
    latencyMs: scaleMoments(evidence.latencyMs, factor),
  };
}

/**
 * Episodes that one client may count for, so that none has more than 2/members of the whole: one robot that lies, or is
 * merely busy, does not speak for the others. It is the largest c with c <= 2/members * sum of min(episodes_i, c).
 *
 * With the k busiest at the cap, c = 2 * (episodes of the rest) / (members - 2k), which is found before k reaches half of the
 * members. 0 where fewer than half have episodes.
 *
 * @param episodes of each member, at most `members` of them
 */
export function episodeCap(episodes: readonly number[], members: number): number {
  const busiestFirst = [...episodes].sort((a, b) => b - a);
  let rest = busiestFirst.reduce((a, b) => a + b, 0);
  for (let capped = 0; 2 * capped < members; capped += 1) {
    const next = busiestFirst[capped] ?? 0;
    const cap = (2 * rest) / (members - 2 * capped);
    if (next <= cap) return cap;
    rest -= next;
  }
  return 0;
}

/** The evidence of a step's members as one, none with more than its share. */
export function poolEvidence(members: readonly Evidence[]): Evidence {
  const cap = episodeCap(
    members.map(({ episodes }) => episodes),
    members.length,
  );
  return members.reduce(
    (pool, evidence) =>
      evidence.episodes === 0
        ? pool
        : addTelemetry(pool, scale(evidence, Math.min(1, cap / evidence.episodes))),
    NO_EVIDENCE,
  );
}
