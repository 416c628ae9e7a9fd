/**
 * All that is to be known of a policy's rollouts, in one record: its history, its newest rollout, and the alerts that nobody
 * was told of yet. One record, because the store compares and sets one key: history and state change together or not at all,
 * and what was decided cannot be stored without the alert that says so.
 *
 * Pure: whoever stores the result compares and sets.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { z } from 'zod';
import { FormatError, RefusedError } from '../../errors.js';
import { idSchema } from '../../package/messages/common.js';
import { isSameRelease, type ReleaseReference, releaseName } from '../../package/release-reference.js';
import type { RolloutEffect } from '../../rollout/effects.js';
import type { RolloutEvent, RolloutEventOf } from '../../rollout/events.js';
import {
  newRolloutHistory,
  parseRolloutHistory,
  type RolloutHistory,
  recordRollout,
  type WithdrawalOverride,
} from '../../rollout/history.js';
import { applyRolloutEvent } from '../../rollout/machine.js';
import type { RolloutPlan } from '../../rollout/plan.js';
import { startRollout, supersedeRollout } from '../../rollout/start.js';
import { hasEnded, parseRolloutState, type RolloutState } from '../../rollout/state.js';
import { alertMessage, rolloutAlertSchema, type StoredAlert } from './alerts.js';

export const POLICY_ROLLOUTS_VERSION = 1;

/** A state with the longest ids and telemetry of this many clients is stored in 512 KiB, which a value has at most. */
export const MAX_ROLLOUT_CLIENTS = 2_000;
/** Beyond any record that `MAX_ROLLOUT_CLIENTS` admits. */
const MAX_RECORD_CHARACTERS = 32 << 20;
const MAX_ALERTS = 100;

export interface PolicyRollouts {
  readonly policy: string;
  readonly history: RolloutHistory;
  /** The newest rollout, under way or not. */
  readonly latest?: RolloutState | undefined;
  /** The last ones, the oldest first. */
  readonly alerts: readonly StoredAlert[];
  /** Number of the last alert that was told of. */
  readonly announced: number;
}

/** The record after a change, and the rollout that is the policy's latest no longer, to be kept before the record is stored. */
export interface ChangedRollouts {
  readonly record: PolicyRollouts;
  readonly past?: RolloutState | undefined;
}

const recordSchema = z.strictObject({
  schemaVersion: z.literal(POLICY_ROLLOUTS_VERSION),
  policy: idSchema,
  history: z.unknown(),
  latest: z.unknown().optional(),
  alerts: z.array(rolloutAlertSchema).max(MAX_ALERTS),
  announced: z.int().min(0),
});

export function encodePolicyRollouts(record: PolicyRollouts): Uint8Array {
  const document: z.infer<typeof recordSchema> = {
    schemaVersion: POLICY_ROLLOUTS_VERSION,
    ...record,
    alerts: [...record.alerts],
  };
  return deflateRawSync(JSON.stringify(document), { level: 1 });
}

/** @throws FormatError `rollout.bad-record`, `rollout.bad-history`, `rollout.bad-state` */
export function decodePolicyRollouts(bytes: Uint8Array): PolicyRollouts {
  const { history, latest, policy, alerts, announced } = readRecord(bytes);
  return {
    ...{ policy, alerts, announced },
    history: parseRolloutHistory(history),
    ...(latest !== undefined && { latest: parseRolloutState(latest) }),
  };
}

export function encodeRolloutState(state: RolloutState): Uint8Array {
  return deflateRawSync(JSON.stringify(state), { level: 1 });
}

/** @throws FormatError `rollout.bad-record`, `rollout.bad-state` */
export function decodeRolloutState(bytes: Uint8Array): RolloutState {
  return parseRolloutState(inflateJson(bytes));
}

function readRecord(bytes: Uint8Array): z.infer<typeof recordSchema> {
  const parsed = recordSchema.safeParse(inflateJson(bytes));
  if (parsed.success) return parsed.data;
  throw badRecord(z.prettifyError(parsed.error), parsed.error);
}

function inflateJson(bytes: Uint8Array): unknown {
  try {
    const text = inflateRawSync(bytes, { maxOutputLength: MAX_RECORD_CHARACTERS });
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch (cause) {
    throw badRecord('it is no deflated JSON', cause);
  }
}

function badRecord(why: string, cause: unknown): FormatError {
  return new FormatError(
    'rollout.bad-record',
    `What the store holds of a policy's rollouts cannot be read: ${why}. Run the version that wrote it, or restore it; until ` +
      'then no client is served a release.',
    { cause },
  );
}

/** @param current what the fleet runs already: the policy's first release */
export function newPolicyRollouts(policy: string, current: ReleaseReference): PolicyRollouts {
  return { policy, history: newRolloutHistory(current), alerts: [], announced: 0 };
}

/** @throws RefusedError `rollout.unknown` where the policy's newest rollout is not that of this release */
export function requireLatest({ policy, latest }: PolicyRollouts, counter: number): RolloutState {
  if (latest?.plan.release.counter === counter) return latest;
  throw new RefusedError(
    'rollout.unknown',
    `The newest rollout of policy "${policy}" is not that of release ${counter}. See the list of rollouts.`,
  );
}

/**
 * The record after an event of its newest rollout.
 *
 * @throws RefusedError as `applyRolloutEvent` does
 */
export function withEvent(record: PolicyRollouts, event: RolloutEvent): PolicyRollouts {
  if (record.latest === undefined) return record;
  const { state, effects } = applyRolloutEvent(record.latest, event);
  if (state === record.latest) return record;
  const history = recordRollout(record.history, state);
  return withAlerts({ ...record, latest: state, history }, state, effects);
}

/** Also used for an alert about a rollout that makes way: it names its own release. */
function withAlerts(
  record: PolicyRollouts,
  { plan, clock }: RolloutState,
  effects: readonly RolloutEffect[],
): PolicyRollouts {
  const last = record.alerts.at(-1)?.number ?? record.announced;
  const added = effects
    .flatMap((effect) => (effect.type === 'alert' ? [effect.alert] : []))
    .map(
      (alert, i): StoredAlert => ({
        number: last + 1 + i,
        atMs: clock.nowMs,
        rollout: plan.release.counter,
        code: alert.code,
        message: alertMessage(alert).slice(0, 2048),
      }),
    );
  return added.length === 0 ? record : { ...record, alerts: [...record.alerts, ...added].slice(-MAX_ALERTS) };
}

export interface StartRequest {
  readonly plan: RolloutPlan;
  readonly atMs: number;
  readonly override?: WithdrawalOverride | undefined;
  /** The verdict on the release's adapter, where there is one. */
  readonly verdict?: Pick<RolloutEventOf<'verdict'>, 'outcome' | 'verdict'> | undefined;
  /** Takes the place of a rollout that is not past its canary. */
  readonly supersede: boolean;
}

/**
 * The record with a new rollout. The same again changes nothing.
 *
 * @throws RefusedError as `startRollout` and `supersedeRollout` do; `rollout.too-many-clients`
 */
export function withStart(record: PolicyRollouts, request: StartRequest): ChangedRollouts {
  const { plan, verdict, atMs } = request;
  const { latest } = record;
  if (latest !== undefined && isSameRelease(latest.plan.release, plan.release)) return { record };
  if (plan.clients.length > MAX_ROLLOUT_CLIENTS) throw tooManyClients(plan);
  const isUnderWay = record.history.active !== undefined && latest !== undefined && !hasEnded(latest.phase);
  if (request.supersede && isUnderWay) return superseding(record, latest, request);
  const { state, history } = startRollout({ ...request, history: record.history });
  const started = { ...record, latest: state, history };
  const event =
    verdict && ({ type: 'verdict', atMs, ...adapterOf(plan), ...verdict } as const satisfies RolloutEvent);
  const past = latest && makesWay(latest, plan.release, atMs);
  return {
    record: event === undefined ? started : withEvent(started, event),
    ...(past !== undefined && { past }),
  };
}

function superseding(
  record: PolicyRollouts,
  superseded: RolloutState,
  { plan, atMs, override, verdict }: StartRequest,
): ChangedRollouts {
  const { state, history, ended, effects } = supersedeRollout({
    ...{ superseded, plan, atMs, override, history: record.history },
    // None is refused as one that did not pass.
    verdict: { ...adapterOf(plan), ...(verdict ?? { outcome: 'inconclusive', verdict: '' }) },
  });
  return { record: withAlerts({ ...record, latest: state, history }, ended, effects), past: ended };
}

/** What was at full is from now on not the one to roll back. */
function makesWay(state: RolloutState, by: ReleaseReference, atMs: number): RolloutState {
  if (state.phase.name !== 'full') return state;
  return applyRolloutEvent(state, { type: 'superseded', atMs, by }).state;
}

function adapterOf({ release }: RolloutPlan): { readonly adapterFingerprint: string } {
  return { adapterFingerprint: release.adapterFingerprint };
}

function tooManyClients({ release, clients }: RolloutPlan): RefusedError {
  return new RefusedError(
    'rollout.too-many-clients',
    `${releaseName(release)} is for ${clients.length} clients, and a rollout follows ${MAX_ROLLOUT_CLIENTS} at most. Divide the ` +
      'fleet into several, with a policy each.',
  );
}

/** Alerts that nobody was told of. */
export function unannounced({ alerts, announced }: PolicyRollouts): StoredAlert[] {
  return alerts.filter(({ number }) => number > announced);
}

export function withAnnounced(record: PolicyRollouts, number: number): PolicyRollouts {
  return number > record.announced ? { ...record, announced: number } : record;
}
