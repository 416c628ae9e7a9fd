/** What the server reports, by its own types: the page cannot drift from the routes. */
export type { Spread } from '../../observability/record-fields.js';
export type { LatencyStage, RecordKind, RecordOf } from '../../observability/records.js';
export type { RobotReport } from '../../observability/robot-report.js';
export type { RoundStatus, RoundSummary } from '../../server/rounds/round-status.js';
export type { Caller } from '../../server/routes/caller.js';
export type { ClientList } from '../../server/routes/clients.js';
export type { CustodyList } from '../../server/routes/custody.js';
export type { ReleaseList } from '../../server/routes/releases.js';
export type { ClientView } from '../../server/telemetry/client-overview.js';
export type { RolloutList, RolloutStatus, RolloutSummary } from './reported-rollouts.js';

import type { VerdictMetric } from '../../package/messages/verdict.js';
import type { CustodyList } from '../../server/routes/custody.js';

export type CustodianView = CustodyList['custodians'][number];

export interface VerdictFindings {
  readonly fingerprint: string;
  readonly atMs: number;
  readonly outcome: 'passed' | 'failed' | 'inconclusive';
  readonly attempt: number;
  readonly confidence: number;
  readonly episodes: number;
  readonly looks: { readonly made: number; readonly planned: number };
  readonly metrics: readonly VerdictMetric[];
  readonly reasons: readonly string[];
}
