/**
 * The machine's clock. All durations are measured on time that was watched over: a gap between two events counts for one
 * analysis interval at most. A server that was down, or whose clock jumped, does not take its own absence for silence of
 * the robots; while it works, timers come every interval, and the two clocks agree but for what timers are late.
 */
import type { RolloutEffect, Transition } from './effects.js';
import { isRunning, type RolloutState, watchedStep } from './state.js';

const MS_PER_SECOND = 1000;

export function milliseconds(seconds: number): number {
  return seconds * MS_PER_SECOND;
}

export function analysisIntervalMs({ plan }: RolloutState): number {
  return milliseconds(plan.analysisIntervalSeconds);
}

/** The state at the time of an event. Time never runs back. */
export function atTime(state: RolloutState, atMs: number): RolloutState {
  const gapMs = atMs - state.clock.nowMs;
  if (gapMs <= 0) return state;
  const countedMs = Math.min(gapMs, analysisIntervalMs(state));
  return { ...state, clock: { nowMs: atMs, observedMs: state.clock.observedMs + countedMs } };
}

/** When something is due, on the machine's clock; undefined where only an event from outside goes on. */
function dueMs(state: RolloutState): number | undefined {
  const { observedMs } = state.clock;
  if (state.phase.name === 'rolling-back' && state.rollback !== undefined) {
    return Math.min(state.rollback.dueMs, observedMs + analysisIntervalMs(state));
  }
  const watched = watchedStep(state);
  if (watched === undefined) return undefined;
  const { step, progress } = watched;
  const moments = [progress.silenceFromMs + milliseconds(step.analysis.telemetryTimeoutSeconds)];
  if (isRunning(state.phase)) moments.push(progress.enteredMs + milliseconds(step.minimumDurationSeconds));
  return Math.min(progress.nextAnalysisMs, ...moments.filter((moment) => moment > observedMs));
}

/** The timer that the state needs, if any. */
export function timerOf(state: RolloutState): RolloutEffect[] {
  const due = dueMs(state);
  if (due === undefined) return [];
  const { nowMs, observedMs } = state.clock;
  return [{ type: 'set-timer', atMs: nowMs + Math.max(1, due - observedMs) }];
}

export function withTimer({ state, effects }: Transition): Transition {
  return { state, effects: [...effects, ...timerOf(state)] };
}
