/** What robots report about the release that they run: counts and moments, which add up. */
import { z } from 'zod';

const MAX_EPISODES_IN_A_REPORT = 1_000_000;
/** No mean that a robot can have measured; it keeps sums of sums finite. */
const MAX_MOMENT = 1e18;

const countSchema = z.int().min(0).max(MAX_EPISODES_IN_A_REPORT);

/** Of a quantity that is measured once an episode and is not negative. */
const momentsSchema = z
  .strictObject({
    count: countSchema,
    sum: z.number().min(0).max(MAX_MOMENT),
    sumOfSquares: z.number().min(0).max(MAX_MOMENT),
  })
  // Cauchy and Schwarz: what breaks it was not measured. The slack is for rounding in the robot's own sums.
  .refine(({ count, sum, sumOfSquares }) => sum * sum <= count * sumOfSquares * (1 + 1e-9), {
    error: 'the sum of squares is too small for the sum and the count',
  });

/** Of the episodes since the client's previous report, all under the release that the report names. */
export const telemetrySchema = z
  .strictObject({
    episodes: countSchema,
    successes: countSchema,
    /** Episodes in which a constraint was violated. */
    violations: countSchema,
    /** Episodes in which something was hit that should not be. */
    collisions: countSchema,
    /** KL divergence of the action distribution from the previous release's, in nats. */
    klDivergence: momentsSchema.optional(),
    /** Time to choose an action, in milliseconds. */
    latencyMs: momentsSchema.optional(),
  })
  .superRefine((telemetry, context) => {
    const { episodes, successes, violations, collisions, klDivergence, latencyMs } = telemetry;
    const largest = Math.max(
      successes,
      violations,
      collisions,
      klDivergence?.count ?? 0,
      latencyMs?.count ?? 0,
    );
    if (largest > episodes) {
      context.addIssue({
        code: 'custom',
        message: 'something is counted more often than there were episodes',
      });
    }
  });

export type Telemetry = Readonly<z.infer<typeof telemetrySchema>>;

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

export function addTelemetry(evidence: Evidence, telemetry: Telemetry): Evidence {
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
