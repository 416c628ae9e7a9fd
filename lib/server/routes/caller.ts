/** Who the server takes the caller for: what a page needs to know before it offers what only some may do. */
import { z } from 'zod';
import type { AccessTable } from '../auth/access.js';
import { ROLES } from '../auth/actor.js';
import type { ServerContext } from '../context.js';
import type { App } from '../http/app-type.js';
import { actorOf } from '../http/gatekeeper.js';

export const CALLER_ACCESS: AccessTable = {
  'GET /v1/caller': { allow: ['client', 'gateway', 'custodian', 'owner', 'operator', 'viewer'] },
};

export const callerSchema = z.object({
  kind: z.enum(['machine', 'person']),
  role: z.enum(ROLES),
  id: z.string().describe("The roster's, or the token's, which is no secret"),
  name: z.string().optional().describe('What the token was named'),
  fleet: z.string(),
  rosterVersion: z.int(),
});
export type Caller = z.infer<typeof callerSchema>;

export function registerCallerRoutes(app: App, { fleet }: Pick<ServerContext, 'fleet'>): void {
  app.get(
    '/v1/caller',
    { schema: { summary: 'Who the caller is here', tags: ['fleet'], response: { 200: callerSchema } } },
    async (request) => {
      const actor = actorOf(request);
      const { fleet: name, version } = fleet.roster.body;
      const { kind, role, id } = actor;
      return {
        ...{ kind, role, id, fleet: name, rosterVersion: version },
        ...(actor.kind === 'person' && { name: actor.name }),
      };
    },
  );
}
