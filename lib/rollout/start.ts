/** How a rollout begins. */
import { RefusedError } from '../errors.js';
import { releaseName } from '../package/release-reference.js';
import { isBeforeProgress } from './commands.js';
import type { RolloutEffect } from './effects.js';
import type { RolloutEventOf } from './events.js';
import { beginInHistory, type RolloutHistory, recordRollout, type WithdrawalOverride } from './history.js';
import { applyRolloutEvent } from './machine.js';
import { parseRolloutPlan, type RolloutPlan } from './plan.js';
import { rolloutOrder } from './selection.js';
import { adaptersToWithdraw, ROLLOUT_STATE_VERSION, type RolloutClient, type RolloutState } from './state.js';

export interface StartRolloutOptions {
  readonly plan: RolloutPlan;
  readonly history: RolloutHistory;
  readonly atMs: number;
  readonly override?: WithdrawalOverride | undefined;
}

/** Both are stored in one transaction, or the history first. */
export interface StartedRollout {
  readonly state: RolloutState;
  readonly history: RolloutHistory;
}

function pendingState(plan: RolloutPlan, atMs: number): RolloutState {
  const carried = new Set(plan.carried?.clients);
  const order = rolloutOrder(plan.clients, plan.release.adapterFingerprint);
  return {
    schemaVersion: ROLLOUT_STATE_VERSION,
    plan,
    phase: { name: 'pending' },
    clock: { nowMs: atMs, observedMs: 0 },
    clients: order.map(
      (id): RolloutClient => ({
        id,
        enrolled: true,
        recipient: true,
        offered: false,
        exposed: carried.has(id),
        sequence: -1,
      }),
    ),
  };
}

/**
 * Starts a rollout, which waits for a passed verdict on its adapter.
 *
 * @throws RefusedError `rollout.in-progress`, `rollout.older`, `rollout.other-previous`, `rollout.rolled-back`
 */
export function startRollout({ plan, history, atMs, override }: StartRolloutOptions): StartedRollout {
  return { history: beginInHistory(history, plan, override), state: pendingState(plan, atMs) };
}

export interface SupersedeRolloutOptions extends StartRolloutOptions {
  /** The rollout that makes way, in its canary at most. */
  readonly superseded: RolloutState;
  /** A passed verdict on the new adapter: there is no time in which nobody watches the clients taken over. */
  readonly verdict: Pick<RolloutEventOf<'verdict'>, 'adapterFingerprint' | 'outcome' | 'verdict'>;
}

export interface SupersededRollout extends StartedRollout {
  /** The rollout that made way, with its end. */
  readonly ended: RolloutState;
  readonly effects: readonly RolloutEffect[];
}

/**
 * Ends a rollout in its canary and starts the next, whose canary begins with the clients that may run the first one's
 * release. All three documents are stored in one transaction.
 *
 * @throws RefusedError as `startRollout`; `rollout.not-now`, `rollout.other-verdict`, `rollout.no-passed-verdict`
 * @throws FormatError `rollout.bad-plan` where a client that is taken over is no recipient of the new release
 */
export function supersedeRollout(options: SupersedeRolloutOptions): SupersededRollout {
  const { superseded, plan, verdict, atMs, override } = options;
  if (verdict.outcome !== 'passed') {
    throw new RefusedError(
      'rollout.no-passed-verdict',
      `${releaseName(plan.release)} has no passed verdict: it supersedes nothing.`,
    );
  }
  requireBeforeProgress(superseded);
  const ended = applyRolloutEvent(superseded, { type: 'superseded', atMs, by: plan.release });
  const history = recordRollout(options.history, ended.state);
  const started = startRollout({ plan: withCarried(plan, superseded), history, atMs, override });
  const running = applyRolloutEvent(started.state, { type: 'verdict', atMs, ...verdict });
  return {
    ended: ended.state,
    state: running.state,
    history: started.history,
    effects: [...ended.effects, ...running.effects],
  };
}

function requireBeforeProgress(superseded: RolloutState): void {
  if (isBeforeProgress(superseded)) return;
  throw new RefusedError(
    'rollout.not-now',
    `The rollout of ${releaseName(superseded.plan.release)} is ${superseded.phase.name}: only one in its canary is superseded. ` +
      'Let it come to its end, or roll it back; then start the next.',
  );
}

function withCarried(plan: RolloutPlan, superseded: RolloutState): RolloutPlan {
  const clients = superseded.clients
    .filter(({ enrolled, exposed }) => enrolled && exposed)
    .map(({ id }) => id);
  if (clients.length === 0) return plan;
  return parseRolloutPlan({
    ...plan,
    carried: {
      release: superseded.plan.release,
      clients,
      adapterFingerprints: adaptersToWithdraw(superseded.plan),
    },
  });
}
