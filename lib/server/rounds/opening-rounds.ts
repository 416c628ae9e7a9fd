/** Opening a round with its plan: once, and one plan a round, whoever dies in the middle. */
import type { TrustedPlan } from '../../custody/trusted-plan.js';
import { RefusedError } from '../../errors.js';
import { hex } from '../../package/messages/common.js';
import { plannedRound, type RoundState } from '../../round/machine/state.js';
import { planOf, type ServerContext } from '../context.js';
import { storeBytes } from '../files/stored-file.js';
import { cohortOf } from './cohorts.js';
import { roundSettings } from './round-settings.js';
import { RoundSlots } from './round-slots.js';
import { keepFileRecord } from './stored-round.js';

export interface OpenedRound {
  readonly state: RoundState;
  readonly isNew: boolean;
}

/**
 * Opens the round of a verified plan. The same plan again changes nothing.
 *
 * The plan is stored first and takes the round second, so that whoever finds the round taken can open it, should the process that
 * took it have died; only then is there a round.
 *
 * @throws RefusedError `round.another-plan`, `round.deadline-passed`, `round.too-many-clients`, `round.too-few-clients`
 */
export async function openRound(
  context: ServerContext,
  plan: TrustedPlan,
  bytes: Uint8Array,
): Promise<OpenedRound> {
  const name = hex(plan.fingerprint);
  const known = await context.rounds.read(name);
  if (known !== undefined) return { state: known, isNew: false };
  // Refused before anything is kept.
  const { state: planned } = await settle(context, plan);
  const { store } = context;
  const record = { fingerprint: name, file: await storeBytes(store.blobs, bytes), atMs: Date.now() };
  await keepFileRecord(store.state, record, 'plan', name);
  await requireSlot(context, plan, name);
  await context.rounds.create(name, planned);
  return { state: await context.rounds.send(name, { type: 'time', atMs: Date.now() }), isNew: true };
}

/** The round as it is planned, for the clients that are eligible now. */
async function settle(context: ServerContext, plan: TrustedPlan): Promise<{ readonly state: RoundState }> {
  const { fleet, health, roundConfig } = context;
  const nowMs = Date.now();
  const { policy, cohort, round, quorum } = plan.body;
  const { clients, lineage } = await cohortOf(context, cohort);
  const eligible = await health.eligible(policy, round, clients, quorum);
  const settings = {
    ...roundSettings({ plan, policy: fleet.policy, eligible, config: roundConfig, nowMs }),
    ...(lineage !== undefined && { lineage }),
  };
  return { state: plannedRound(settings, nowMs) };
}

/** @throws RefusedError `round.another-plan` */
async function requireSlot(context: ServerContext, plan: TrustedPlan, name: string): Promise<void> {
  const slots = new RoundSlots(context.store.state);
  const holder = await slots.take(plan.body, name);
  if (holder === name || !(await isOpenOrOpened(context, holder))) {
    if (holder === name || (await slots.replace(plan.body, holder, name)) === name) return;
  }
  throw new RefusedError(
    'round.another-plan',
    `Round ${plan.body.round} of the cohort "${plan.body.cohort}" has another plan, ${holder}. Take that one, or plan the next round.`,
  );
}

/** Whether a plan that has taken a round has one, opening it where a process died before it did. */
async function isOpenOrOpened(context: ServerContext, name: string): Promise<boolean> {
  if ((await context.rounds.read(name)) !== undefined) return true;
  try {
    const { state } = await settle(context, await planOf(context, name));
    await context.rounds.create(name, state);
    await context.rounds.send(name, { type: 'time', atMs: Date.now() });
    return true;
  } catch (error) {
    // Its deadline has passed, or it is under a roster that is not valid any more: nobody can open it now.
    if (error instanceof RefusedError) return false;
    throw error;
  }
}
