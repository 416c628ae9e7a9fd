/**
 * When an epoch of the custodians' keys is over: once every round of it has the owner's close record. The roster then says so,
 * and custodians destroy the keys.
 *
 * That a round is closed is taken from the owner's own signed records. Which rounds there are is known from the plans that this
 * agent made and from what the service lists: one that it hides is lost with its epoch's key, which a service can do to a round
 * in many ways, and nothing of it is read by anybody.
 */
import { hex } from '../../custody/fields.js';
import { openRole } from '../../custody/role-directory.js';
import { TensorGuardError } from '../../errors.js';
import { openContainer } from '../../package/reader.js';
import { issueRoster } from '../../round/enrolment/issue-roster.js';
import { RoundRecords } from '../../round/round-records.js';
import type { FleetApi } from '../api/fleet-api.js';
import { currentRoster } from '../roster-sync.js';
import type { OwnedRounds } from './round-records.js';

export type EpochEndingApi = Pick<FleetApi, 'rounds' | 'plan'>;

/** The epoch of a plan; undefined where nobody has its file any more, or what is there is another plan. */
async function epochOf(api: EpochEndingApi, plan: string): Promise<number | undefined> {
  try {
    const { body, fingerprint } = await openContainer(await api.plan(plan), 'plan');
    return hex(fingerprint) === plan ? body.keyEpoch : undefined;
  } catch (error) {
    if (error instanceof TensorGuardError && !error.code.startsWith('http.')) return undefined;
    throw error;
  }
}

/** The least epoch that a round is open in, `current` at most; undefined where that cannot be said. */
async function leastOpenEpoch(
  api: EpochEndingApi,
  rounds: OwnedRounds,
  records: RoundRecords,
  current: number,
): Promise<number | undefined> {
  const plans = new Set([...(await rounds.list()), ...(await api.rounds())].map(({ plan }) => plan));
  let least = current;
  for (const plan of plans) {
    if ((await records.closed(new Uint8Array(Buffer.from(plan, 'hex')))) !== undefined) continue;
    const epoch = await epochOf(api, plan);
    if (epoch === undefined) return undefined;
    least = Math.min(least, epoch);
  }
  return least;
}

/**
 * Issues the roster that ends the epochs without an open round, if there are any.
 *
 * @returns the oldest epoch that is left open; undefined where nothing changed
 * @throws as `issueRoster` and `openRole` do; failures of the connection
 */
export async function endClosedEpochs(
  ownerDirectory: string,
  api: EpochEndingApi,
  rounds: OwnedRounds,
): Promise<number | undefined> {
  const { custodians, oldestOpenEpoch = 1 } = (await currentRoster(ownerDirectory)).body;
  const current = Math.max(...custodians.map(({ epoch }) => epoch));
  if (oldestOpenEpoch >= current) return undefined;
  const open = await leastOpenEpoch(api, rounds, new RoundRecords(ownerDirectory), current);
  if (open === undefined || open <= oldestOpenEpoch) return undefined;
  const owner = await openRole(ownerDirectory, 'owner');
  try {
    const { changed } = await issueRoster({
      ownerDirectory,
      signing: owner.signing,
      changes: { oldestOpenEpoch: open },
      accepting: ({ body: { version }, fingerprint }) =>
        owner.store.record('roster', { version, fingerprint: hex(fingerprint) }),
    });
    return changed ? open : undefined;
  } finally {
    owner.close();
  }
}
