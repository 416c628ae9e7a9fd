/**
 * Going back. Clients take no older counter, so the owner has to sign a new release that carries the old adapter; it goes to
 * everyone who may run the bad one, whether they are on line or not.
 */
import { RefusedError } from '../errors.js';
import { isSameRelease, releaseName } from '../package/release-reference.js';
import { milliseconds, withTimer } from './clock.js';
import { alertOf, andThen, type Transition, unchanged } from './effects.js';
import type { RolloutEventOf } from './events.js';
import {
  adaptersToWithdraw,
  type RollbackCause,
  type RolloutClient,
  type RolloutPhase,
  type RolloutRollback,
  type RolloutState,
} from './state.js';
import { pauseFor } from './stepping.js';

function rollbackTimeoutMs({ plan }: RolloutState): number {
  return milliseconds(plan.rollbackTimeoutSeconds);
}

function end(state: RolloutState, phase: RolloutPhase): Transition {
  return { state: { ...state, phase }, effects: [alertOf({ code: 'ended', phase })] };
}

/** Where nobody can have the release, there is nothing to go back from. */
export function beginRollback(state: RolloutState, cause: RollbackCause): Transition {
  const endsAs = cause === 'abort' ? 'aborted' : 'rolled-back';
  const { plan, clock } = state;
  const withdrawn: Transition = { state, effects: [{ type: 'withdraw-offer', release: plan.release }] };
  if (!state.clients.some(({ exposed }) => exposed)) {
    return andThen(withdrawn, (stopped) => end(stopped, endPhase(endsAs)));
  }
  const adapters = adaptersToWithdraw(plan);
  const rollback: RolloutRollback = {
    cause,
    withdrawn: adapters,
    endsAs,
    dueMs: clock.observedMs + rollbackTimeoutMs(state),
  };
  return withTimer(
    andThen(withdrawn, (stopped) => ({
      state: { ...stopped, phase: { name: 'rolling-back' }, rollback },
      effects: [
        { type: 'request-rollback-release', to: plan.previous.counter, withdrawn: adapters },
        alertOf({ code: 'rolling-back', cause }),
      ],
    })),
  );
}

function endPhase(endsAs: RolloutRollback['endsAs']): RolloutPhase {
  return endsAs === 'aborted' ? { name: 'aborted', reason: 'operator' } : { name: 'rolled-back' };
}

/** What a breach leads to: back, or, where the envelope leaves that to people, a pause. */
export function respondTo(
  state: RolloutState,
  cause: Extract<RollbackCause, 'breach' | 'missing-telemetry' | 'verdict-failed'>,
): Transition {
  return state.plan.automaticRollback ? beginRollback(state, cause) : pauseFor(state, cause);
}

/** @throws RefusedError `rollout.rollback-mismatch`, `rollout.not-now` */
export function takeRollbackRelease(
  state: RolloutState,
  event: RolloutEventOf<'rollback-released'>,
): Transition {
  const { rollback } = state;
  if (rollback?.release !== undefined && isSameRelease(rollback.release, event.release))
    return unchanged(state);
  if (rollback === undefined || state.phase.name !== 'rolling-back' || rollback.release !== undefined) {
    throw new RefusedError(
      'rollout.not-now',
      `The rollout of ${releaseName(state.plan.release)} waits for no rollback release; its phase is ${state.phase.name}.`,
    );
  }
  requireAnswer(state, rollback, event);
  const released: RolloutRollback = {
    ...rollback,
    release: event.release,
    dueMs: state.clock.observedMs + rollbackTimeoutMs(state),
  };
  const offered: Transition = {
    state: { ...state, rollback: released },
    effects: [
      { type: 'offer-release', release: event.release, clients: exposedClients(state).map(({ id }) => id) },
      // Who never had the bad release takes this one as well: from then on it refuses the bad one as older.
      { type: 'publish', release: event.release },
    ],
  };
  return withTimer(andThen(offered, settleRollback));
}

function requireAnswer(
  { plan }: RolloutState,
  { withdrawn }: RolloutRollback,
  { release, to, withdrawn: announced }: RolloutEventOf<'rollback-released'>,
): void {
  const faults = [
    release.counter <= plan.release.counter &&
      'its counter is not above the bad release, whose takers refuse it',
    release.adapterFingerprint !== plan.previous.adapterFingerprint &&
      'it carries another adapter than the last good release',
    to > plan.previous.counter && 'it goes back to a release that is newer than the last good one',
    withdrawn.some((adapter) => !announced.includes(adapter)) && 'it does not withdraw what it has to',
  ].filter((fault) => fault !== false);
  if (faults.length === 0) return;
  throw new RefusedError(
    'rollout.rollback-mismatch',
    `${releaseName(release)} does not undo ${releaseName(plan.release)}: ${faults.join('; ')}. Make a rollback to ` +
      `release ${plan.previous.counter}.`,
  );
}

function exposedClients(state: RolloutState): RolloutClient[] {
  return state.clients.filter(({ enrolled, exposed }) => enrolled && exposed);
}

/** Clients that may still run what was withdrawn: silence is no confirmation. */
export function unconfirmedClients(state: RolloutState): RolloutClient[] {
  const { rollback } = state;
  if (rollback === undefined) return [];
  const counter = rollback.release?.counter ?? Number.POSITIVE_INFINITY;
  return exposedClients(state).filter(
    ({ reported }) =>
      reported === undefined ||
      reported.counter < counter ||
      rollback.withdrawn.includes(reported.adapterFingerprint),
  );
}

/** Ends the rollback when the last client has confirmed it, late ones included. */
export function settleRollback(state: RolloutState): Transition {
  const { phase, rollback } = state;
  const open =
    phase.name === 'rolling-back' || (phase.name === 'failed' && phase.reason === 'rollback-unconfirmed');
  if (!open || rollback?.release === undefined || unconfirmedClients(state).length > 0)
    return unchanged(state);
  return end(state, endPhase(rollback.endsAs));
}

/** The rollback at a time event: reminds of the release that is missing, or gives up on clients that do not confirm. */
export function watchRollback(state: RolloutState): Transition {
  const { rollback, clock } = state;
  if (state.phase.name !== 'rolling-back' || rollback === undefined) return unchanged(state);
  if (clock.observedMs < rollback.dueMs) return withTimer(unchanged(state));
  if (rollback.release === undefined) {
    const dueMs = clock.observedMs + rollbackTimeoutMs(state);
    return withTimer({
      state: { ...state, rollback: { ...rollback, dueMs } },
      effects: [alertOf({ code: 'rollback-release-outstanding' })],
    });
  }
  const clients = unconfirmedClients(state).map(({ id }) => id);
  return {
    state: { ...state, phase: { name: 'failed', reason: 'rollback-unconfirmed' } },
    effects: [alertOf({ code: 'rollback-unconfirmed', clients })],
  };
}
