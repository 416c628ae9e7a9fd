/** Is the process alive, and is it of use? For load balancers and for whoever sets the server up. */
import type { FastifyBaseLogger } from 'fastify';
import { z } from 'zod';
import type { AccessTable } from '../auth/access.js';
import type { App } from '../http/app-type.js';

export interface ReadinessCheck {
  /** Shown to anybody, as is the advice: neither may name a path or anything else of the machine. */
  readonly name: string;
  /** What is missing and what to do about it; undefined where nothing is. */
  missing(): Promise<string | undefined>;
}

export const HEALTH_ACCESS: AccessTable = {
  'GET /healthz': { allow: 'anybody' },
  'GET /readyz': { allow: 'anybody' },
};

const healthSchema = z.object({ status: z.literal('ok') });
const readinessSchema = z.object({
  status: z.enum(['ready', 'not-ready']),
  missing: z.array(z.object({ name: z.string(), advice: z.string() })),
});

type Readiness = z.infer<typeof readinessSchema>;

async function examine(checks: readonly ReadinessCheck[], log: FastifyBaseLogger): Promise<Readiness> {
  const results = await Promise.all(
    checks.map(async ({ name, missing }) => {
      const advice = await missing().catch((error: unknown) => {
        log.error({ err: error, check: name }, 'readiness check failed');
        return 'It could not be checked; the log has the reason.';
      });
      return advice === undefined ? [] : [{ name, advice }];
    }),
  );
  const missing = results.flat();
  return { status: missing.length === 0 ? 'ready' : 'not-ready', missing };
}

export function registerHealthRoutes(app: App, checks: readonly ReadinessCheck[]): void {
  app.get(
    '/healthz',
    { schema: { summary: 'Alive', tags: ['health'], response: { 200: healthSchema } } },
    async () => ({ status: 'ok' }) as const,
  );
  app.get(
    '/readyz',
    {
      schema: {
        summary: 'Able to run rounds',
        tags: ['health'],
        response: { 200: readinessSchema, 503: readinessSchema },
      },
    },
    async (request, reply) => {
      const readiness = await examine(checks, request.log);
      return reply.code(readiness.status === 'ready' ? 200 : 503).send(readiness);
    },
  );
}
