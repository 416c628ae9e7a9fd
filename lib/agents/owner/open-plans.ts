/**
 * Which rounds are open, as far as this owner can know: plans that its agent made, and those that the service lists, without a
 * close record among the owner's own. One that the service hides is lost with the keys that are destroyed for its being closed,
 * which a service can do to a round in many ways; nothing of it is read by anybody.
 */
import { hex } from '../../custody/fields.js';
import { TensorGuardError } from '../../errors.js';
import type { PlanBody } from '../../package/messages/plan.js';
import { openContainer } from '../../package/reader.js';
import { RoundRecords } from '../../round/round-records.js';
import type { FleetApi } from '../api/fleet-api.js';
import type { OwnedRounds } from './round-records.js';

export type OpenPlansApi = Pick<FleetApi, 'rounds' | 'plan'>;

/** Undefined where nobody has its file any more, or what is there is another plan. */
async function planBody(api: OpenPlansApi, plan: string): Promise<PlanBody | undefined> {
  try {
    const { body, fingerprint } = await openContainer(await api.plan(plan), 'plan');
    return hex(fingerprint) === plan ? body : undefined;
  } catch (error) {
    if (error instanceof TensorGuardError && !error.code.startsWith('http.')) return undefined;
    throw error;
  }
}

/**
 * The plans of every open round; undefined where that cannot be said.
 *
 * @throws failures of the connection; FormatError `owner.record-malformed`
 */
export async function openPlans(
  ownerDirectory: string,
  api: OpenPlansApi,
  rounds: OwnedRounds,
): Promise<readonly PlanBody[] | undefined> {
  const records = new RoundRecords(ownerDirectory);
  const known = new Set([...(await rounds.list()), ...(await api.rounds())].map(({ plan }) => plan));
  const open: PlanBody[] = [];
  for (const plan of known) {
    if ((await records.closed(new Uint8Array(Buffer.from(plan, 'hex')))) !== undefined) continue;
    const body = await planBody(api, plan);
    if (body === undefined) return undefined;
    open.push(body);
  }
  return open;
}
