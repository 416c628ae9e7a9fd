/** What robots report of themselves. */
import { z } from 'zod';
import { RefusedError } from '../../errors.js';
import { type RobotReport, robotReportSchema } from '../../observability/robot-report.js';
import { type AccessTable, requireOwnId } from '../auth/access.js';
import type { ServerContext } from '../context.js';
import type { App } from '../http/app-type.js';
import { reportParams } from '../http/params.js';
import { feedReport } from '../rollouts/report-feed.js';

export const REPORT_ACCESS: AccessTable = {
  'PUT /v1/clients/:client/reports/:sequence': { allow: ['client'] },
};

const MAX_REPORT_BYTES = 64 << 10;
const takenSchema = z.object({ sequence: z.int() });

/** @throws RefusedError `report.other-name` */
function requireNamedByPath(report: RobotReport, path: { client: string; sequence: number }): void {
  if (report.client === path.client && report.sequence === path.sequence) return;
  throw new RefusedError('report.other-name', 'The report has another client or number than the path names.');
}

export function registerReportRoutes(app: App, { reports, rollouts, telemetry }: ServerContext): void {
  app.put(
    '/v1/clients/:client/reports/:sequence',
    {
      bodyLimit: MAX_REPORT_BYTES,
      schema: {
        summary:
          'What a robot reports of itself; a number is taken once, the same report again changes nothing',
        tags: ['agents'],
        params: reportParams,
        body: robotReportSchema,
        response: { 200: takenSchema },
      },
    },
    async ({ actor, params, body }) => {
      requireOwnId(actor, 'client', params.client);
      requireNamedByPath(body, params);
      if (await reports.isNew(body)) {
        const nowMs = Date.now();
        const before = await reports.of(body.client);
        await feedReport(rollouts, body, nowMs);
        await reports.keep(body, nowMs);
        telemetry.reported(body, before?.report);
      }
      return { sequence: body.sequence };
    },
  );
}
