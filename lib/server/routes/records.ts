/** What was measured, the newest first. */
import { z } from 'zod';
import { recordKindSchema, recordSchema } from '../../observability/records.js';
import type { AccessTable } from '../auth/access.js';
import type { ServerContext } from '../context.js';
import type { App } from '../http/app-type.js';
import { limitParam } from '../http/params.js';

export const RECORD_ACCESS: AccessTable = {
  'GET /v1/records': { allow: ['owner', 'operator', 'viewer'] },
};

const DEFAULT_LIST = 100;
const MAX_LIST = 2000;

const listQuery = z.strictObject({
  kind: recordKindSchema.optional(),
  limit: limitParam(MAX_LIST).optional(),
});

export function registerRecordRoutes(app: App, { telemetry }: ServerContext): void {
  app.get(
    '/v1/records',
    {
      schema: {
        summary: 'Records: latency, compression, privacy, quality, alerts, rounds, rollouts, custody',
        tags: ['records'],
        querystring: listQuery,
        response: { 200: z.object({ records: z.array(recordSchema) }) },
      },
    },
    async ({ query }) => ({
      records: await telemetry.records.newest(query.limit ?? DEFAULT_LIST, query.kind),
    }),
  );
}
