/** What the server reports, by its own types: the page cannot drift from the routes. */
export type { CustodyStatus } from '../../observability/custody-status.js';
export type { Spread } from '../../observability/record-fields.js';
export type { LatencyStage, RecordKind, RecordOf } from '../../observability/records.js';
export type { RobotReport } from '../../observability/robot-report.js';
export type { RoundStatus, RoundSummary } from '../../server/rounds/round-status.js';
export type { Caller } from '../../server/routes/caller.js';
export type { ClientView } from '../../server/telemetry/client-overview.js';
