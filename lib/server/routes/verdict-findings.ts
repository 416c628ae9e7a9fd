/** A verdict as people read it: what the owner signed, without the signature. Whoever has to trust it takes the file. */
import { z } from 'zod';
import { VERDICT_METRICS, VERDICT_OUTCOMES } from '../../package/messages/verdict.js';
import { openContainer } from '../../package/reader.js';
import type { AccessTable } from '../auth/access.js';
import type { ServerContext } from '../context.js';
import { readAll } from '../files/bodies.js';
import { readStored } from '../files/stored-file.js';
import type { App } from '../http/app-type.js';
import { verdictParams } from '../http/params.js';
import { requireFound } from './found.js';

export const VERDICT_FINDINGS_ACCESS: AccessTable = {
  'GET /v1/verdicts/:fingerprint/findings': { allow: ['owner', 'operator', 'viewer'] },
};

/** As much as the service has taken of one. */
const MAX_VERDICT_BYTES = 1 << 20;

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

const findingsSchema = z.object({
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
export type VerdictFindings = z.infer<typeof findingsSchema>;

export function registerVerdictFindingsRoutes(app: App, context: ServerContext): void {
  const { store, verdicts } = context;
  app.get(
    '/v1/verdicts/:fingerprint/findings',
    {
      schema: {
        summary: 'What a verdict found, metric by metric, with intervals',
        tags: ['rollouts'],
        params: verdictParams,
        response: { 200: findingsSchema },
      },
    },
    async ({ params }) => {
      const record = requireFound(await verdicts.find(params.fingerprint), 'verdict');
      const { fingerprint, candidate, baseline, atMs } = record;
      const file = await readAll(readStored(store.blobs, record.file), MAX_VERDICT_BYTES);
      const container = await openContainer(file, 'verdict');
      await container.close();
      const { outcome, attempt, confidence, episodes, looks, metrics, reasons } = container.body;
      return {
        ...{ fingerprint, candidate, baseline, atMs, outcome, attempt, confidence, episodes, looks },
        metrics: metrics.map((metric) => ({ ...metric })),
        reasons: [...reasons],
      };
    },
  );
}
