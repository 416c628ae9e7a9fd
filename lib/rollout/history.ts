/** What a policy's rollouts leave behind: the current release, the one under way, and adapters that must not come back. */
import { z } from 'zod';
import { FormatError, RefusedError } from '../errors.js';
import { integerSchema, unixMsSchema } from '../package/messages/common.js';
import {
  fingerprintSchema,
  isSameRelease,
  type ReleaseReference,
  releaseName,
  releaseReferenceSchema,
} from '../package/release-reference.js';
import type { RolloutPlan } from './plan.js';
import { adaptersToWithdraw, hasEnded, type RolloutState } from './state.js';

export const ROLLOUT_HISTORY_VERSION = 1;

const withdrawnSchema = z.strictObject({
  adapterFingerprint: fingerprintSchema,
  /** Of the release whose rollout went back. */
  counter: integerSchema(1),
  atMs: unixMsSchema,
});

export const rolloutHistorySchema = z.strictObject({
  schemaVersion: z.literal(ROLLOUT_HISTORY_VERSION),
  /** The one release that the whole fleet is to run. */
  current: releaseReferenceSchema,
  /** The release whose rollout is under way: one at a time. */
  active: releaseReferenceSchema.optional(),
  /** The highest counter that was seen. */
  latestCounter: integerSchema(1),
  withdrawn: z.array(withdrawnSchema),
});

type HistoryShape = z.infer<typeof rolloutHistorySchema>;
export type RolloutHistory = Readonly<Omit<HistoryShape, 'withdrawn'>> & {
  readonly withdrawn: readonly Readonly<HistoryShape['withdrawn'][number]>[];
};

/** @throws FormatError `rollout.bad-history` */
export function parseRolloutHistory(input: unknown): RolloutHistory {
  const parsed = rolloutHistorySchema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new FormatError(
    'rollout.bad-history',
    `The history of rollouts cannot be read: ${z.prettifyError(parsed.error)}. Restore it: an empty one would let adapters ` +
      'come back that were withdrawn.',
  );
}

/** @param current what the fleet runs before its first rollout, the unchanged base model's adapter for instance */
export function newRolloutHistory(current: ReleaseReference): RolloutHistory {
  return {
    schemaVersion: ROLLOUT_HISTORY_VERSION,
    current,
    latestCounter: current.counter,
    withdrawn: [],
  };
}

/** The operator's word that an adapter may come back, which names it. */
export interface WithdrawalOverride {
  readonly adapterFingerprint: string;
}

/**
 * The history with a rollout under way.
 *
 * @throws RefusedError `rollout.in-progress`, `rollout.older`, `rollout.other-previous`, `rollout.rolled-back`
 */
export function beginInHistory(
  history: RolloutHistory,
  { release, previous }: RolloutPlan,
  override?: WithdrawalOverride,
): RolloutHistory {
  if (history.active !== undefined) {
    throw new RefusedError(
      'rollout.in-progress',
      `The rollout of ${releaseName(history.active)} is under way. Let it end, abort it, or supersede it in its canary.`,
    );
  }
  if (release.counter <= history.latestCounter) {
    throw new RefusedError(
      'rollout.older',
      `${releaseName(release)} is not newer than release ${history.latestCounter}, which clients may have taken: they would ` +
        'refuse it. Release the adapter again, under a new counter.',
    );
  }
  if (!isSameRelease(history.current, previous)) {
    throw new RefusedError(
      'rollout.other-previous',
      `The plan goes back to ${releaseName(previous)}, and the fleet runs ${releaseName(history.current)}. Plan from that.`,
    );
  }
  const { adapterFingerprint } = release;
  const isWithdrawn = history.withdrawn.some((entry) => entry.adapterFingerprint === adapterFingerprint);
  if (isWithdrawn && override?.adapterFingerprint !== adapterFingerprint) {
    throw new RefusedError(
      'rollout.rolled-back',
      `Adapter ${adapterFingerprint} was rolled back from, and does not return by itself. If it shall, the operator's ` +
        'override has to name it.',
    );
  }
  return {
    ...history,
    active: release,
    latestCounter: release.counter,
    withdrawn: history.withdrawn.filter((entry) => entry.adapterFingerprint !== adapterFingerprint),
  };
}

/**
 * The history after a transition of the policy's rollout. To be stored together with its state. A state of an earlier
 * rollout changes nothing.
 */
export function recordRollout(history: RolloutHistory, state: RolloutState): RolloutHistory {
  const { phase, plan, rollback } = state;
  const { active, ...idle } = history;
  const isActive = active !== undefined && isSameRelease(plan.release, active);
  const isCurrent = active === undefined && isSameRelease(plan.release, history.current);
  if (!isActive && !isCurrent) return history;
  if (phase.name === 'full') return { ...idle, current: plan.release };
  const goesBack = phase.name === 'rolled-back' || rollback !== undefined;
  const current = rollback?.release ?? plan.previous;
  const recorded: RolloutHistory = goesBack
    ? {
        ...idle,
        current,
        latestCounter: Math.max(history.latestCounter, current.counter),
        withdrawn: withAdapters(history, state),
      }
    : idle;
  return hasEnded(phase) ? recorded : { ...recorded, active: plan.release };
}

function withAdapters(
  { withdrawn }: RolloutHistory,
  { plan, clock }: RolloutState,
): RolloutHistory['withdrawn'] {
  const known = new Set(withdrawn.map(({ adapterFingerprint }) => adapterFingerprint));
  const added = adaptersToWithdraw(plan)
    .filter((adapterFingerprint) => !known.has(adapterFingerprint))
    .map((adapterFingerprint) => ({
      adapterFingerprint,
      counter: plan.release.counter,
      atMs: clock.nowMs,
    }));
  return [...withdrawn, ...added];
}
