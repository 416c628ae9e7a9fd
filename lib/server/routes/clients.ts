/** The fleet's clients, for people who look after it. */
import { z } from 'zod';
import type { AccessTable } from '../auth/access.js';
import type { ServerContext } from '../context.js';
import type { App } from '../http/app-type.js';
import { idParam, limitParam } from '../http/params.js';
import { clientViewSchema, clientViews } from '../telemetry/client-overview.js';

export const CLIENT_ACCESS: AccessTable = {
  'GET /v1/clients': { allow: ['owner', 'operator', 'viewer'] },
};

/** Each is several readings of the store. */
const MAX_CLIENTS_AT_ONCE = 1000;

const listQuery = z.strictObject({
  limit: limitParam(MAX_CLIENTS_AT_ONCE).optional(),
  after: idParam.optional().describe('The last client of the page before'),
});
const listSchema = z.object({
  clients: z.array(clientViewSchema),
  enrolled: z.int().describe('Clients in the roster'),
  next: z.string().optional().describe('Where there are more: the value for `after`'),
});
export type ClientList = z.infer<typeof listSchema>;

export function registerClientRoutes(app: App, context: ServerContext): void {
  app.get(
    '/v1/clients',
    {
      schema: {
        summary: 'Enrolled clients: standing, health, when they were last heard of and what they said',
        tags: ['fleet'],
        querystring: listQuery,
        response: { 200: listSchema },
      },
    },
    async ({ query }) => {
      const { limit = MAX_CLIENTS_AT_ONCE, after } = query;
      const enrolled = [...context.fleet.roster.body.clients].sort((a, b) => (a.id < b.id ? -1 : 1));
      const rest = after === undefined ? enrolled : enrolled.filter(({ id }) => id > after);
      const page = rest.slice(0, limit);
      const next = rest.length > limit ? page.at(-1)?.id : undefined;
      return {
        clients: await clientViews(context, page),
        enrolled: enrolled.length,
        ...(next !== undefined && { next }),
      };
    },
  );
}
