/** For Prometheus, which sends a viewer's token (`authorization: credentials_file`): how a fleet trains is not for everybody. */
import type { AccessTable } from '../auth/access.js';
import type { ServerContext } from '../context.js';
import type { App } from '../http/app-type.js';
import { fileBodies } from '../openapi/route-bodies.js';
import { fleetState } from '../telemetry/fleet-state.js';

export const METRICS_ACCESS: AccessTable = { 'GET /metrics': { allow: ['operator', 'viewer'] } };

export function registerMetricsRoutes(app: App, context: ServerContext): void {
  const { metrics } = context.telemetry;
  app.get(
    '/metrics',
    {
      config: fileBodies({ text: 'The metrics' }),
      schema: { summary: 'Metrics for Prometheus (text exposition format)', tags: ['records'] },
    },
    async (_request, reply) => {
      metrics.set(await fleetState(context, Date.now()));
      return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
    },
  );
}
