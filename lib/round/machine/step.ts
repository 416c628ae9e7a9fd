/**
 * The round state machine: a state and an event give the next state and what is to be done. Pure: no clock, no input or
 * output, no randomness; the same events in the same order give the same states, on whichever machine.
 */
import { RefusedError } from '../../errors.js';
import { noteCustodianRefusal, receiveAnswer } from './answering.js';
import { abortRound, closeRound, openRound, releaseRound } from './closing.js';
import { passTime } from './deadlines.js';
import { newEffects, type RoundEffect } from './effects.js';
import type { RoundEvent } from './events.js';
import { receivePartialSum } from './gateways.js';
import { markOutliers } from './outliers.js';
import { noteRefusedPartialSum, noteRefusedUpdate, noteRefusedUpload, receiveUpdate } from './receiving.js';
import type { RoundState } from './state.js';
import { claimSum, failSum, finishSum } from './summing.js';

export interface Step {
  /** The same object where nothing changed: there is nothing to store. */
  readonly state: RoundState;
  /** To be run once the state is stored. */
  readonly effects: readonly RoundEffect[];
  /** `repeated`: nothing changed, since it was so already; as good as `applied`. */
  readonly outcome: 'applied' | 'repeated' | 'refused';
  /** Why, where the event was refused. */
  readonly refusal?: RefusedError;
}

/**
 * Takes one event, after what its time has brought due: a deadline that has passed holds, whether or not a timer said so.
 *
 * A refused event changes nothing else but the list of refused updates. Nothing is thrown for an event of the right form.
 */
export function stepRound(state: RoundState, event: RoundEvent): Step {
  const now = passTime(state, event.atMs);
  try {
    const next = applied(now, event);
    return {
      state: next,
      effects: newEffects(state, next),
      outcome: next === state ? 'repeated' : 'applied',
    };
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    const next = noteRefusal(now, event, error);
    return { state: next, effects: newEffects(state, next), outcome: 'refused', refusal: error };
  }
}

/** Several events at once, for one write of the state: those that came while the last write was under way. */
export interface Steps {
  readonly state: RoundState;
  readonly effects: readonly RoundEffect[];
  /** One for each event, in their order. */
  readonly results: readonly Pick<Step, 'outcome' | 'refusal'>[];
}

export function stepThrough(state: RoundState, events: readonly RoundEvent[]): Steps {
  const results: Pick<Step, 'outcome' | 'refusal'>[] = [];
  let last = state;
  for (const event of events) {
    const { state: next, outcome, refusal } = stepRound(last, event);
    results.push({ outcome, ...(refusal !== undefined && { refusal }) });
    last = next;
  }
  // Of what was asked for on the way, what the last state still asks for: an effect that is overtaken is none.
  return { state: last, effects: newEffects(state, last), results };
}

function noteRefusal(state: RoundState, event: RoundEvent, error: RefusedError): RoundState {
  if (event.type === 'update-received') return noteRefusedUpdate(state, event, error);
  if (event.type === 'partial-sum-received') return noteRefusedPartialSum(state, event, error);
  return state;
}

function applied(state: RoundState, event: RoundEvent): RoundState {
  switch (event.type) {
    case 'time':
      return state;
    case 'open':
      return openRound(state, event);
    case 'update-received':
      return receiveUpdate(state, event);
    case 'partial-sum-received':
      return receivePartialSum(state, event);
    case 'update-refused':
      return noteRefusedUpload(state, event);
    case 'sum-claimed':
      return claimSum(state, event);
    case 'outliers-judged':
      return markOutliers(state, event);
    case 'sum-finished':
      return finishSum(state, event);
    case 'sum-failed':
      return failSum(state, event);
    case 'answer-received':
      return receiveAnswer(state, event);
    case 'answer-refused':
      return noteCustodianRefusal(state, event);
    case 'closed':
      return closeRound(state, event);
    case 'released':
      return releaseRound(state, event);
    case 'abort':
      return abortRound(state, event);
  }
}
