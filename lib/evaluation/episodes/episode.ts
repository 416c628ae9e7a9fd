/** What an evaluator says of one episode. */
import { z } from 'zod';

/** Seeds fit 32 bits: what simulators and generators take. */
export const MAX_SEED = 2 ** 32 - 1;

export const ADAPTER_ROLES = ['candidate', 'baseline'] as const;
export type AdapterRole = (typeof ADAPTER_ROLES)[number];

const countSchema = z.int().min(0).max(1_000_000_000);

/** What is not known is left out; nothing is filled in for it. */
export const episodeSchema = z.strictObject({
  seed: z.int().min(0).max(MAX_SEED),
  adapter: z.enum(ADAPTER_ROLES),
  success: z.boolean(),
  constraintViolations: countSchema.optional(),
  collisions: countSchema.optional(),
  /** Counts for an episode that succeeds. */
  timeToCompleteSeconds: z.number().min(0).optional(),
  /** Mean over the states that the candidate visits of KL(candidate || baseline), nats; an estimate may be below 0. */
  klDivergence: z.number().optional(),
  /** Whether the episode's task or surroundings are of a kind that nobody trained on. */
  outOfDistribution: z.boolean(),
});

/** One episode, named by its seed and, where several tasks share seeds, by its task. */
export type Episode = z.infer<typeof episodeSchema> & { readonly task?: string };

/** Metrics that an evaluator reports for all of an adapter's episodes, or for none. */
export const OPTIONAL_METRICS = [
  'constraintViolations',
  'collisions',
  'timeToCompleteSeconds',
  'klDivergence',
] as const satisfies readonly (keyof Episode)[];
export type OptionalMetric = (typeof OPTIONAL_METRICS)[number];
