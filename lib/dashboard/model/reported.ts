/** What the server reports, by its own types: the page cannot drift from the routes. */
export type { Spread } from '../../observability/record-fields.js';
export type { RecordKind, RecordOf } from '../../observability/records.js';
export type { RobotReport } from '../../observability/robot-report.js';
export type { ReleaseList } from '../../server/releases/shown-releases.js';
export type { RolloutStatus, RolloutSummary } from '../../server/rollouts/rollout-status.js';
export type { RoundStatus, RoundSummary } from '../../server/rounds/round-status.js';
export type { Caller } from '../../server/routes/caller.js';
export type { ClientList } from '../../server/routes/clients.js';
export type { CustodyList } from '../../server/routes/custody.js';
export type { RolloutList } from '../../server/routes/rollouts.js';
export type { ClientView } from '../../server/telemetry/client-overview.js';
export type { VerdictFindings } from '../../server/verdicts/shown-findings.js';

import type { CustodyList } from '../../server/routes/custody.js';

export type CustodianView = CustodyList['custodians'][number];
