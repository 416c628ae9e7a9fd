/**
 * A plan as the roles that serve and finish rounds read it: under the roster that it names, which may have a successor by now.
 *
 * Not for sealing: a client that followed a plan back to an earlier roster would seal to keys, or under a quorum floor, that
 * the owner has replaced.
 */
import { openContainer } from '../package/reader.js';
import type { TrustedRoster } from './roster.js';
import { supersededRoster, underCurrentStanding } from './roster-archive.js';
import { readTrustedPlan, type TrustedPlan } from './trusted-plan.js';

async function rosterOfPlan(
  directory: string,
  path: string | Uint8Array,
  newest: TrustedRoster,
): Promise<TrustedRoster> {
  const container = await openContainer(path, 'plan');
  const { rosterVersion, rosterFingerprint } = container.body;
  await container.close();
  if (rosterVersion >= newest.body.version) return newest;
  const earlier = await supersededRoster(directory, newest.ownerKeyId, rosterVersion, rosterFingerprint);
  return earlier ?? newest;
}

/**
 * For aggregators and custodians: whom the newest roster no longer has as active is refused, in rounds that began before it
 * as well.
 *
 * @param directory of the role, where rosters that it accepted are kept
 * @throws VerificationError `container.*`; RefusedError `plan.*`
 */
export async function readPlanToServe(
  directory: string,
  path: string | Uint8Array,
  newest: TrustedRoster,
): Promise<TrustedPlan> {
  const roster = await rosterOfPlan(directory, path, newest);
  return readTrustedPlan(path, roster === newest ? newest : underCurrentStanding(roster, newest));
}

/**
 * For the owner, who opens and closes what custodians have answered for: clients as they stood when the round was planned.
 * Custodians have refused whom a later roster revoked, unless they answered before; what was summed then stays as it is.
 *
 * @throws as {@link readPlanToServe}
 */
export async function readPlanToFinish(
  directory: string,
  path: string | Uint8Array,
  newest: TrustedRoster,
): Promise<TrustedPlan> {
  return readTrustedPlan(path, await rosterOfPlan(directory, path, newest));
}
