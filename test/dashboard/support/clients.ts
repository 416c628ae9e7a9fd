/** Clients as the server lists them. */
import type { ClientView } from '../../../lib/dashboard/model/reported.js';
import { ROBOT_REPORT_SCHEMA_VERSION, type RobotReport } from '../../../lib/observability/robot-report.js';

export function clientView(client: string, changes: Partial<ClientView> = {}): ClientView {
  return { client, standing: 'active', health: [], ...changes };
}

export function healthOf(score: number, suspended = false): ClientView['health'] {
  return [{ policy: 'pick', score, suspended, observedRounds: 5, lastRound: 5 }];
}

export function lastReport(
  client: string,
  said: Partial<RobotReport>,
  receivedAtMs = 5000,
): NonNullable<ClientView['lastReport']> {
  return {
    receivedAtMs,
    report: {
      ...{ schema: ROBOT_REPORT_SCHEMA_VERSION, client, policy: 'pick', sequence: 1, atMs: 4000 },
      ...said,
    },
  };
}
