/** The moves from one phase to the next that several events lead to. */
import { describeRound } from '../../custody/round-key.js';
import { RefusedError } from '../../errors.js';
import { hasEnded, type Phase } from './phases.js';
import { digestOfUpdates, type FailureCode, type RoundState, sentUpdates } from './state.js';

/** The state in its next phase. Clocks of machines differ; a phase never begins before the one that led to it. */
export function enter(state: RoundState, phase: Phase, atMs: number): RoundState {
  const entered = Math.max(atMs, ...Object.values(state.enteredAtMs));
  return { ...state, phase, enteredAtMs: { ...state.enteredAtMs, [phase]: entered } };
}

export function fail(state: RoundState, code: FailureCode, message: string, atMs: number): RoundState {
  return { ...enter(state, 'failed', atMs), failure: { code, message } };
}

/** Fixes the set for ever, and asks for its sum. The caller has counted the quorum. */
export function sealOff(state: RoundState, atMs: number): RoundState {
  return {
    ...enter(state, 'sealed-off', atMs),
    sealed: { set: digestOfUpdates(sentUpdates(state)) },
    sum: { attempt: 1, leaseEndsMs: atMs + state.settings.sumLeaseMs },
  };
}

/** Ends an attempt to sum that came to nothing, and offers the next one, if there may be one. */
export function nextAttempt(state: RoundState, why: string, atMs: number): RoundState {
  const { maxSumAttempts, sumLeaseMs } = state.settings;
  const attempt = (state.sum?.attempt ?? 0) + 1;
  if (attempt > maxSumAttempts) {
    return fail(
      state,
      'summing-failed',
      `None of ${maxSumAttempts} attempts to sum the updates came to an end; the last one: ${why}. ` +
        "Look at the workers' logs.",
      atMs,
    );
  }
  return { ...state, sum: { attempt, leaseEndsMs: atMs + sumLeaseMs } };
}

/** @throws RefusedError `round.ended` */
export function requireRunning(state: RoundState): void {
  if (!hasEnded(state.phase)) return;
  const how = state.failure === undefined || state.phase !== 'failed' ? state.phase : state.failure.code;
  throw new RefusedError(
    'round.ended',
    `${capitalized(describeRound(state.settings.key))} has ended (${how}). Take the next one.`,
  );
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
