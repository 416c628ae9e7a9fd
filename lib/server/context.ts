/** What routes work with. */
import type { TrustedPlan } from '../custody/trusted-plan.js';
import { RefusedError } from '../errors.js';
import type { Store } from '../store/store.js';
import { readAll } from './files/bodies.js';
import { readStored } from './files/stored-file.js';
import type { ServedFleet } from './fleet/fleet.js';
import type { ReleaseOffers } from './releases/offers.js';
import type { ReleaseBook } from './releases/release-book.js';
import type { LastReports } from './reports/last-reports.js';
import type { RolloutService } from './rollouts/rollout-service.js';
import type { HealthBook } from './rounds/health-book.js';
import type { RoundIndex } from './rounds/round-index.js';
import type { RoundService } from './rounds/round-service.js';
import type { RoundConfig } from './rounds/round-settings.js';
import { readFileRecord } from './rounds/stored-round.js';
import type { UpdateIntake } from './rounds/update-intake.js';
import type { Telemetry } from './telemetry/telemetry.js';
import type { VerdictBook } from './verdicts/verdict-book.js';

export interface ServerContext {
  readonly store: Store;
  readonly fleet: ServedFleet;
  readonly rounds: RoundService;
  readonly index: RoundIndex;
  readonly intake: UpdateIntake;
  readonly health: HealthBook;
  readonly reports: LastReports;
  readonly telemetry: Telemetry;
  readonly releases: ReleaseBook;
  readonly verdicts: VerdictBook;
  readonly rollouts: RolloutService;
  readonly offers: ReleaseOffers;
  readonly roundConfig: RoundConfig;
}

/** Plans carry the list of tensors, and an adapter's configuration. */
export const MAX_PLAN_BYTES = 20 << 20;

/**
 * The plan of a round, verified under the roster that it names.
 *
 * @throws RefusedError `round.unknown`, `plan.*`
 */
export async function planOf(
  { store, fleet }: Pick<ServerContext, 'store' | 'fleet'>,
  plan: string,
): Promise<TrustedPlan> {
  const record = await readFileRecord(store.state, 'plan', plan);
  if (record === undefined) {
    throw new RefusedError('round.unknown', `There is no round with the plan ${plan} here.`);
  }
  return fleet.plan(await readAll(readStored(store.blobs, record.file), MAX_PLAN_BYTES));
}
