/** What a robot counts of the episodes that it ran: counts and moments, which add up. */
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
export const episodeCountsSchema = z
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

export type EpisodeCounts = Readonly<z.infer<typeof episodeCountsSchema>>;
