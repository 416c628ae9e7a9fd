/** What the evaluation and people decide. */
import { RefusedError } from '../errors.js';
import { isSameRelease, releaseName } from '../package/release-reference.js';
import { withTimer } from './clock.js';
import { alertOf, type Transition, unchanged } from './effects.js';
import type { RolloutEventOf } from './events.js';
import { beginRollback, respondTo } from './rolling-back.js';
import { hasEnded, isRunning, isWatched, type PauseReason, type RolloutState } from './state.js';
import { enterStep, fillStep, leaveStep, pauseFor, runningPhase } from './stepping.js';
import { currentAnalysis, isSilent } from './watching.js';

/** Reasons that only a resumption, which starts the count anew, gets past. */
const BREACHES: readonly PauseReason[] = ['breach', 'missing-telemetry', 'verdict-failed'];

function notNow(state: RolloutState, command: string, instead: string): RefusedError {
  return new RefusedError(
    'rollout.not-now',
    `Cannot ${command} the rollout of ${releaseName(state.plan.release)}: its phase is ${state.phase.name}. ${instead}`,
  );
}

/** A failed verdict stays: no later one makes up for it. */
export function takeVerdict(state: RolloutState, event: RolloutEventOf<'verdict'>): Transition {
  const { plan, phase } = state;
  if (event.adapterFingerprint !== plan.release.adapterFingerprint) {
    throw new RefusedError(
      'rollout.other-verdict',
      `The verdict is on adapter ${event.adapterFingerprint}; this rollout is of ${releaseName(plan.release)}. Evaluate that.`,
    );
  }
  if (hasEnded(phase) || phase.name === 'rolling-back' || state.verdict?.outcome === 'failed')
    return unchanged(state);
  const told: RolloutState = { ...state, verdict: { outcome: event.outcome, verdict: event.verdict } };
  if (event.outcome === 'failed') return takeFailure(told, event.verdict);
  if (phase.name !== 'pending') return unchanged(state);
  if (event.outcome === 'passed') return enterStep(told, 0);
  if (state.verdict?.verdict === event.verdict) return unchanged(state);
  return { state: told, effects: [alertOf({ code: 'verdict-inconclusive', verdict: event.verdict })] };
}

function takeFailure(state: RolloutState, verdict: string): Transition {
  const alert = alertOf({ code: 'verdict-failed', verdict });
  const { state: next, effects } = failureOf(state);
  return { state: next, effects: [alert, ...effects] };
}

function failureOf(state: RolloutState): Transition {
  const { phase } = state;
  if (isWatched(phase)) return respondTo(state, 'verdict-failed');
  if (phase.name === 'pending') {
    const exposed = state.clients.some((client) => client.exposed);
    if (exposed) return beginRollback(state, 'verdict-failed');
    const failed: RolloutState = { ...state, phase: { name: 'failed', reason: 'verdict-failed' } };
    return { state: failed, effects: [alertOf({ code: 'ended', phase: failed.phase })] };
  }
  // Full: a later evaluation found something. Where a newer release has taken its place, that one's rollout decides.
  const goesBack = state.plan.automaticRollback && state.supersededBy === undefined;
  return goesBack ? beginRollback(state, 'verdict-failed') : unchanged(state);
}

/** @throws RefusedError `rollout.not-now` */
export function pause(state: RolloutState): Transition {
  if (!isWatched(state.phase))
    throw notNow(state, 'pause', 'Only a rollout whose steps are under way can be paused.');
  return pauseFor(state, 'operator');
}

/**
 * Goes on with the step. After a breach or silence its count starts anew.
 *
 * @throws RefusedError `rollout.not-now`, `rollout.pause-changed`, `rollout.no-passed-verdict`
 */
export function resume(state: RolloutState, { reason }: RolloutEventOf<'resume'>): Transition {
  const { phase, step } = state;
  if (isRunning(phase)) return unchanged(state);
  if (phase.name !== 'paused' || step === undefined) throw notNow(state, 'resume', 'It is not paused.');
  if (phase.reason !== reason) {
    throw new RefusedError(
      'rollout.pause-changed',
      `The rollout is paused for ${phase.reason}, and the command names ${reason}. Look at its status, then decide again.`,
    );
  }
  requirePassedVerdict(state);
  const resumed: RolloutState = {
    ...state,
    phase: runningPhase(step.index),
    step: {
      ...step,
      silenceFromMs: state.clock.observedMs,
      inconclusives: 0,
      failures: reason === 'breach' ? 0 : step.failures,
    },
  };
  return withTimer(fillStep(resumed));
}

function requirePassedVerdict({ verdict, plan }: RolloutState): void {
  if (verdict?.outcome === 'passed') return;
  throw new RefusedError(
    'rollout.no-passed-verdict',
    `${releaseName(plan.release)} has no passed verdict (${verdict?.outcome ?? 'none yet'}): no client more gets it. ` +
      'Evaluate it, or roll back.',
  );
}

/**
 * The next step at once: skips the minimum duration and an analysis that concludes nothing; a verdict and a breach it does
 * not skip.
 *
 * @throws RefusedError `rollout.not-now`, `rollout.other-step`, `rollout.no-passed-verdict`, `rollout.breach`
 */
export function promote(state: RolloutState, { fromStep }: RolloutEventOf<'promote'>): Transition {
  const { phase, step } = state;
  if (phase.name === 'pending') requirePassedVerdict(state);
  if (step === undefined || !(isWatched(phase) || phase.name === 'full')) {
    throw notNow(state, 'promote', 'Only a rollout whose steps are under way can be promoted.');
  }
  // The command again, or another operator's for the same step.
  if (fromStep < step.index || (phase.name === 'full' && fromStep === step.index)) return unchanged(state);
  if (fromStep > step.index) {
    throw new RefusedError(
      'rollout.other-step',
      `The rollout is at step ${step.index}, and the command promotes from step ${fromStep}. Look at its status.`,
    );
  }
  requirePassedVerdict(state);
  requireNoBreach(state);
  return leaveStep(state, step.index);
}

function requireNoBreach(state: RolloutState): void {
  const { phase, step } = state;
  const pausedForBreach = phase.name === 'paused' && BREACHES.includes(phase.reason);
  const failed =
    step?.breached === true || step?.conclusion === 'failed' || currentAnalysis(state)?.outcome === 'failed';
  if (!pausedForBreach && !failed && !isSilent(state)) return;
  throw new RefusedError(
    'rollout.breach',
    `Step ${step?.index} has ${failed ? 'a failed analysis' : 'missing telemetry'}: nobody is promoted past that. Roll ` +
      'back, or let the step run until an analysis passes.',
  );
}

/**
 * Gives up the release. Clients that may run it go back.
 *
 * @throws RefusedError `rollout.not-now`
 */
export function abort(state: RolloutState): Transition {
  const { phase } = state;
  if (phase.name === 'aborted' || phase.name === 'rolling-back') return unchanged(state);
  if (phase.name !== 'pending' && !isWatched(phase)) {
    throw notNow(state, 'abort', phase.name === 'full' ? 'Roll it back instead.' : 'It has ended.');
  }
  return beginRollback(state, 'abort');
}

/** @throws RefusedError `rollout.not-now`, `rollout.superseded` */
export function rollBack(state: RolloutState): Transition {
  const { phase, supersededBy } = state;
  if (phase.name === 'rolling-back' || phase.name === 'rolled-back' || state.rollback !== undefined) {
    return unchanged(state);
  }
  if (supersededBy !== undefined) {
    throw new RefusedError(
      'rollout.superseded',
      `${releaseName(supersededBy)} has taken the place of ${releaseName(state.plan.release)}: roll that one back.`,
    );
  }
  if (phase.name === 'pending') throw notNow(state, 'roll back', 'It was offered to nobody: abort it.');
  if (!isWatched(phase) && phase.name !== 'full') throw notNow(state, 'roll back', 'It has ended.');
  return beginRollback(state, 'command');
}

/**
 * Makes way for a newer release, whose rollout takes over the clients that may run this one. Only before the first
 * progressive step: otherwise its canary would be larger than a canary may be.
 *
 * @throws RefusedError `rollout.older`, `rollout.not-now`
 */
export function supersede(state: RolloutState, { by }: RolloutEventOf<'superseded'>): Transition {
  const { phase, plan, supersededBy } = state;
  if (supersededBy !== undefined && isSameRelease(supersededBy, by)) return unchanged(state);
  if (by.counter <= plan.release.counter) {
    throw new RefusedError(
      'rollout.older',
      `${releaseName(by)} is not newer than ${releaseName(plan.release)}, and cannot take its place.`,
    );
  }
  if (phase.name === 'full' && supersededBy === undefined) return unchanged({ ...state, supersededBy: by });
  if (!isBeforeProgress(state)) {
    throw notNow(
      state,
      'supersede',
      'Let it come to its end, or roll it back and release the newer one after that.',
    );
  }
  const aborted: RolloutState = {
    ...state,
    phase: { name: 'aborted', reason: 'superseded' },
    supersededBy: by,
  };
  return {
    state: aborted,
    effects: [
      { type: 'withdraw-offer', release: plan.release },
      alertOf({ code: 'ended', phase: aborted.phase }),
    ],
  };
}

export function isBeforeProgress({ phase }: RolloutState): boolean {
  return phase.name === 'pending' || phase.name === 'canary' || (phase.name === 'paused' && phase.from === 0);
}
