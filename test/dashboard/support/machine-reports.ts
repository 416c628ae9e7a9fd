/** What machines tell the service of themselves, signed by their own keys, as their agents do. */
import { z } from 'zod';
import {
  CUSTODY_STATUS_SCHEMA_VERSION,
  type CustodyStatus,
} from '../../../lib/observability/custody-status.js';
import { ROBOT_REPORT_SCHEMA_VERSION, type RobotReport } from '../../../lib/observability/robot-report.js';
import type { ServedTestFleet } from '../../server/support/served-fleet.js';

const anything = z.unknown();
const DAY_MS = 86_400_000;

/** Above whatever the robot's own agent numbers today, by the time: what is said here is said last. */
let sequence = Date.now() + DAY_MS;

export async function reportOf(
  fleet: ServedTestFleet,
  number: number,
  said: Partial<RobotReport>,
): Promise<void> {
  sequence += 1;
  const client = fleet.clientId(number);
  const report: RobotReport = {
    schema: ROBOT_REPORT_SCHEMA_VERSION,
    ...{ client, policy: 'balanced', sequence, atMs: Date.now() },
    ...said,
  };
  const api = await fleet.api(`client-${number}`);
  await api.sendJson('PUT', `/v1/clients/${client}/reports/${sequence}`, report, anything);
}

export async function custodianSays(
  fleet: ServedTestFleet,
  number: number,
  said: Partial<CustodyStatus> = {},
): Promise<void> {
  const nowMs = Date.now();
  const status: CustodyStatus = {
    schema: CUSTODY_STATUS_SCHEMA_VERSION,
    atMs: nowMs,
    keys: [
      { name: 'signing', state: 'active', createdMs: nowMs - 40 * DAY_MS, recoverable: false },
      { name: 'kem-1', epoch: 1, state: 'active', createdMs: nowMs - 20 * DAY_MS, recoverable: true },
    ],
    rotation: { dueAtMs: nowMs + (9 + number) * DAY_MS, pending: false },
    audit: { entries: 12 + number, head: String(number).repeat(64), whole: true },
    openBreakGlass: [],
    ...said,
  };
  const api = await fleet.api(`custodian-${number}`);
  await api.sendJson('PUT', `/v1/custody/custodian-${number}`, status, anything);
}
