/**
 * Which rounds are open, as far as this owner can know: plans that its agent made, and those that the service lists, without a
 * close record among the owner's own. One that the service hides is lost with the keys that are destroyed for its being closed,
 * which a service can do to a round in many ways; nothing of it is read by anybody. One that it invents counts for nothing: it
 * could keep keys in being for ever, and with them what a thief of custodians could open.
 */

import { hex } from '../../custody/fields.js';
import { readPlanToFinish } from '../../custody/role-plan.js';
import type { TrustedRoster } from '../../custody/roster.js';
import { RefusedError, TensorGuardError, VerificationError } from '../../errors.js';
import { readEnvelope } from '../../package/envelope.js';
import type { PlanBody } from '../../package/messages/plan.js';
import { RoundRecords } from '../../round/round-records.js';
import type { FleetApi } from '../api/fleet-api.js';
import { isConnectionFailure } from '../failures.js';
import type { OwnedRounds } from './round-records.js';

export type OpenPlansApi = Pick<FleetApi, 'rounds' | 'plan'>;

export interface OpenPlans {
  readonly open: readonly PlanBody[];
  /** Plans that the service lists and of which it does not give the file: they may be open. */
  readonly unreadable: readonly string[];
}

/** `unreadable`: the service has no such file. `invented`: it has, and this fleet's coordinator has not signed it. */
async function planBody(
  api: OpenPlansApi,
  ownerDirectory: string,
  roster: TrustedRoster,
  plan: string,
): Promise<PlanBody | 'unreadable' | 'invented'> {
  let file: Uint8Array;
  try {
    file = await api.plan(plan);
    if (hex(readEnvelope(file, 'plan').fingerprint) !== plan) return 'unreadable';
  } catch (error) {
    if (error instanceof TensorGuardError && !isConnectionFailure(error)) return 'unreadable';
    throw error;
  }
  try {
    return (await readPlanToFinish(ownerDirectory, file, roster)).body;
  } catch (error) {
    if (error instanceof VerificationError || error instanceof RefusedError) return 'invented';
    throw error;
  }
}

/** @throws failures of the connection; FormatError `owner.record-malformed` */
export async function openPlans(
  ownerDirectory: string,
  roster: TrustedRoster,
  api: OpenPlansApi,
  rounds: OwnedRounds,
): Promise<OpenPlans> {
  const records = new RoundRecords(ownerDirectory);
  const known = new Set([...(await rounds.list()), ...(await api.rounds())].map(({ plan }) => plan));
  const open: PlanBody[] = [];
  const unreadable: string[] = [];
  for (const plan of known) {
    if ((await records.closed(new Uint8Array(Buffer.from(plan, 'hex')))) !== undefined) continue;
    const body = await planBody(api, ownerDirectory, roster, plan);
    if (body === 'unreadable') unreadable.push(plan);
    else if (body !== 'invented') open.push(body);
  }
  return { open, unreadable };
}
