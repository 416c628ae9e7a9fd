/** The custodians' keys, as their agents report them: states and dates, no secret. */
import { z } from 'zod';
import { custodyStatusSchema } from '../../observability/custody-status.js';
import { openingReportSchema } from '../../observability/opening-report.js';
import { idSchema, unixMsSchema } from '../../package/messages/common.js';
import { type AccessTable, requireOwnId } from '../auth/access.js';
import type { ServerContext } from '../context.js';
import type { App } from '../http/app-type.js';
import { custodianParams, planParams } from '../http/params.js';

export const CUSTODY_ACCESS: AccessTable = {
  'GET /v1/custody': { allow: ['owner', 'operator', 'viewer'] },
  'PUT /v1/custody/:custodian': { allow: ['custodian'] },
  'PUT /v1/rounds/:plan/opening': { allow: ['owner'] },
};

const MAX_STATUS_BYTES = 64 << 10;

const custodianSchema = z.object({
  custodian: idSchema,
  index: z.int(),
  epoch: z.int().describe('Of the key that the roster lists'),
  reported: z
    .object({ receivedAtMs: unixMsSchema, status: custodyStatusSchema })
    .optional()
    .describe("What its agent said last; absent: nothing ('custodian run')"),
});

const custodyListSchema = z.object({ threshold: z.int(), custodians: z.array(custodianSchema) });
export type CustodyList = z.infer<typeof custodyListSchema>;

export function registerCustodyRoutes(app: App, { fleet, rounds, telemetry }: ServerContext): void {
  app.get(
    '/v1/custody',
    {
      schema: {
        summary: 'Custodians: epochs, key states, next rotation, audit head, open uses of break-glass',
        tags: ['custody'],
        response: { 200: custodyListSchema },
      },
    },
    async () => {
      const { custodians, threshold } = fleet.roster.body;
      return {
        threshold,
        custodians: await Promise.all(
          custodians.map(async ({ id, index, epoch }) => {
            const reported = await telemetry.custody.of(id);
            return { custodian: id, index, epoch, ...(reported !== undefined && { reported }) };
          }),
        ),
      };
    },
  );

  app.put(
    '/v1/custody/:custodian',
    {
      bodyLimit: MAX_STATUS_BYTES,
      schema: {
        summary: 'What a custodian says of its keys',
        tags: ['custody'],
        params: custodianParams,
        body: custodyStatusSchema,
        response: { 200: z.object({ custodian: idSchema }) },
      },
    },
    async ({ actor, params, body }) => {
      requireOwnId(actor, 'custodian', params.custodian);
      await telemetry.custodianReported(params.custodian, body);
      return { custodian: params.custodian };
    },
  );

  app.put(
    '/v1/rounds/:plan/opening',
    {
      bodyLimit: MAX_STATUS_BYTES,
      schema: {
        summary: 'How the owner opened a round: how long it took, and nothing of what was opened',
        tags: ['opening'],
        params: planParams,
        body: openingReportSchema,
        response: { 200: z.object({ plan: z.string() }) },
      },
    },
    async ({ params: { plan }, body }) => {
      const { key } = (await rounds.require(plan)).settings;
      telemetry.opened({ ...key, plan }, body);
      return { plan };
    },
  );
}
