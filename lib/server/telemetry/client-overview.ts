/** Clients as the fleet's operator looks at them: who they are, how they do, what they said last. */
import { z } from 'zod';
import { robotReportSchema } from '../../observability/robot-report.js';
import { idSchema, unixMsSchema } from '../../package/messages/common.js';
import { healthScore } from '../../round/health/client-health.js';
import type { ServerContext } from '../context.js';

export const clientHealthViewSchema = z.object({
  policy: idSchema,
  score: z.number().describe('0 (everything it sends is rejected) to 1, the last rounds counting most'),
  suspended: z.boolean().describe('Left out of rounds for the time being'),
  observedRounds: z.int(),
  lastRound: z.int(),
});

export const clientViewSchema = z.object({
  client: idSchema,
  standing: z.enum(['active', 'suspended', 'revoked']).describe('In the roster'),
  health: z.array(clientHealthViewSchema).describe('For each policy that it was observed in'),
  lastSeenMs: unixMsSchema.optional().describe('When it last made a request; absent: never'),
  lastReport: z
    .object({ receivedAtMs: unixMsSchema, report: robotReportSchema })
    .optional()
    .describe('What it said of itself last, the release that it runs included'),
});
export type ClientView = z.infer<typeof clientViewSchema>;

type Clients = ServerContext['fleet']['roster']['body']['clients'];

export async function clientViews(context: ServerContext, clients: Clients): Promise<ClientView[]> {
  const { index, health, reports, telemetry } = context;
  await index.refresh();
  const nextRounds = new Map<string, number>();
  for (const { policy, round } of index.summaries()) {
    nextRounds.set(policy, Math.max(nextRounds.get(policy) ?? 0, round + 1));
  }
  const seen = await telemetry.lastSeen.all();
  const lastReports = new Map((await reports.list()).map((each) => [each.report.client, each]));
  return Promise.all(
    clients.map(async ({ id, status }) => {
      const known = await Promise.all(
        [...nextRounds].map(async ([policy, round]) => ({ policy, round, of: await health.of(policy, id) })),
      );
      const lastSeenMs = seen.get(id);
      const lastReport = lastReports.get(id);
      return {
        client: id,
        standing: status,
        health: known.flatMap(({ policy, round, of }) =>
          of === undefined
            ? []
            : [
                {
                  policy,
                  score: healthScore(of, round),
                  suspended: of.suspended,
                  observedRounds: of.observedRounds,
                  lastRound: of.lastRound,
                },
              ],
        ),
        ...(lastSeenMs !== undefined && { lastSeenMs }),
        ...(lastReport !== undefined && { lastReport }),
      };
    }),
  );
}
