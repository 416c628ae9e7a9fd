/** What a verdict found, as it is shown. */
import { z } from 'zod';
import { VERDICT_METRICS, VERDICT_OUTCOMES } from '../../package/messages/verdict.js';

const metricSchema = z.object({
  name: z.enum(VERDICT_METRICS),
  outcome: z.enum([...VERDICT_OUTCOMES, 'not-measured', 'waived', 'reported']),
  atLeast: z.number().optional().describe('The bound that the policy sets'),
  atMost: z.number().optional(),
  estimate: z.number().optional(),
  lower: z.number().optional().describe('Of the confidence interval'),
  upper: z.number().optional(),
  episodes: z.int().describe('Or pairs of them, that it was measured in'),
  reason: z.string(),
});

export const verdictFindingsSchema = z.object({
  fingerprint: z.string(),
  candidate: z.string(),
  baseline: z.string(),
  atMs: z.int().describe('When the service got it'),
  outcome: z.enum(VERDICT_OUTCOMES),
  attempt: z.int(),
  confidence: z.number(),
  episodes: z.int(),
  looks: z.object({ made: z.int(), planned: z.int() }),
  metrics: z.array(metricSchema),
  reasons: z.array(z.string()),
});
export type VerdictFindings = z.infer<typeof verdictFindingsSchema>;
