/** Steps: who is in one, how it begins, what comes after it. */
import { analysisIntervalMs, withTimer } from './clock.js';
import { alertOf, type Transition, unchanged } from './effects.js';
import { stepSize } from './selection.js';
import {
  isRunning,
  PAUSE_REASONS,
  type PauseReason,
  type RolloutClient,
  type RolloutPhase,
  type RolloutState,
  stepMembers,
  watchedStep,
} from './state.js';

export function runningPhase(step: number): RolloutPhase {
  return step === 0 ? { name: 'canary' } : { name: 'progressing', step };
}

/** Telemetry from here on is new: what came before has been judged, or was of another step. */
export function withoutWindows(state: RolloutState): RolloutState {
  const clients = state.clients.map(({ window: _judged, ...client }): RolloutClient => client);
  return { ...state, clients };
}

/** Who comes in next: clients that may run a superseded release first, so that nobody stays on what nobody watches. */
function nextMembers(state: RolloutState, percent: number): RolloutClient[] {
  const eligible = state.clients.filter(({ enrolled, recipient }) => enrolled && recipient);
  const outside = eligible.filter(({ offered }) => !offered);
  const carried = new Set(state.plan.carried?.clients);
  const first = outside.filter(({ id }) => carried.has(id));
  const others = outside.filter(({ id }) => !carried.has(id));
  const missing = stepSize(percent, eligible.length) - stepMembers(state).length;
  return [...first, ...others].slice(0, Math.max(missing, first.length));
}

/**
 * Offers the release to as many clients as the step wants. Whoever was offered it stays in: a step loses a client only by
 * revocation, and then gets another.
 */
export function fillStep(state: RolloutState): Transition {
  const step = state.step && state.plan.steps[state.step.index];
  const offers =
    state.verdict?.outcome === 'passed' && (isRunning(state.phase) || state.phase.name === 'full');
  const chosen = step && offers ? nextMembers(state, step.percent).map(({ id }) => id) : [];
  if (chosen.length === 0) return unchanged(state);
  const isChosen = new Set(chosen);
  const clients = state.clients.map((client) =>
    isChosen.has(client.id) ? { ...client, offered: true, exposed: true } : client,
  );
  const { release } = state.plan;
  return {
    state: { ...state, clients },
    effects: [{ type: 'offer-release', release, clients: chosen }],
  };
}

export function enterStep(state: RolloutState, index: number): Transition {
  const { observedMs } = state.clock;
  const entered: RolloutState = {
    ...withoutWindows(state),
    phase: runningPhase(index),
    step: {
      index,
      enteredMs: observedMs,
      nextAnalysisMs: observedMs + analysisIntervalMs(state),
      silenceFromMs: observedMs,
      failures: 0,
      inconclusives: 0,
      breached: false,
    },
  };
  return withTimer(fillStep(entered));
}

/** The step after this one, one at a time; after the last, full. */
export function leaveStep(state: RolloutState, index: number): Transition {
  if (index + 1 < state.plan.steps.length) return enterStep(state, index + 1);
  const full: RolloutState = { ...withoutWindows(state), phase: { name: 'full' } };
  return { state: full, effects: [{ type: 'publish', release: full.plan.release }] };
}

/** Stops where it is. Of two reasons the graver one stays. */
export function pauseFor(state: RolloutState, reason: PauseReason): Transition {
  const watched = watchedStep(state);
  if (watched === undefined) return unchanged(state);
  const { phase } = state;
  const known = phase.name === 'paused' ? PAUSE_REASONS.indexOf(phase.reason) : -1;
  if (known >= PAUSE_REASONS.indexOf(reason)) return unchanged(state);
  const step = watched.progress.index;
  return {
    state: { ...state, phase: { name: 'paused', reason, from: step } },
    effects: [alertOf({ code: 'paused', reason, step })],
  };
}
