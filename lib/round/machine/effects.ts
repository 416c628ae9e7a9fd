/**
 * What a round asks the world for.
 *
 * Effects follow from the state alone: `outstandingEffects` is all that a state asks for, and a step's effects are those
 * that the state before did not ask for. So nothing is lost with a process that dies between storing a state and acting
 * on it: whoever loads the state next acts on all of them. Every effect must therefore bear repetition.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Observation } from '../health/observations.js';
import { bisect, type HalfCohort, spoiltRound, suspects } from './bisect.js';
import { nextRoundAtMs } from './cadence.js';
import { dueAtMs } from './deadlines.js';
import { isBefore } from './phases.js';
import { type Member, type RoundState, sentUpdates } from './state.js';
import { type RoundStatus, roundStatus } from './status.js';

/** Send a `time` event then. */
export interface SetTimer {
  readonly type: 'set-timer';
  readonly atMs: number;
}

/** Queue the sum of the sealed set: the worker claims the attempt, sums, and sends what came of it. */
export interface StartSum {
  readonly type: 'start-sum';
  readonly attempt: number;
  /** Digest of the sealed set. */
  readonly set: string;
  readonly updates: readonly { readonly client: string; readonly fingerprint: string }[];
}

/** Tell the custodians that there is an aggregate to answer for. */
export interface RequestAnswers {
  readonly type: 'request-answers';
  readonly aggregate: string;
  readonly set: string;
}

/** Tell the owner what only the owner can do. */
export type NotifyOwner = { readonly type: 'notify-owner' } & (
  | {
      /** The threshold is reached. Repeated with every further answer. */
      readonly ask: 'open';
      readonly aggregate: string;
      readonly set: string;
      readonly custodians: readonly string[];
    }
  | {
      /** Sign a close record of none, which lets the clients go, or open the round after all. */
      readonly ask: 'close';
      readonly reason: string;
    }
  | {
      /** Bisection has come to its end: one of these has spoilt the round. */
      readonly ask: 'suspend';
      readonly clients: readonly string[];
    }
);

/** Tell everybody. */
export interface Publish {
  readonly type: 'publish';
  readonly status: RoundStatus;
}

/** Plan the next round as two cohorts. */
export interface Bisect {
  readonly type: 'bisect';
  readonly cohorts: readonly [HalfCohort, HalfCohort];
  readonly notBeforeMs: number;
}

/** Plan the next round. The clients of a half cohort that was cleared return to `cohort`, where they came from. */
export interface PlanNext {
  readonly type: 'plan-next';
  readonly cohort: string;
  readonly notBeforeMs: number;
}

/** The round has its close record: from now on its ciphertexts may go, when retention says so. */
export interface CollectGarbage {
  readonly type: 'collect-garbage';
}

/** Add to each client's health what it did in this round. */
export interface RecordHealth {
  readonly type: 'record-health';
  readonly observations: readonly { readonly client: string; readonly kind: Observation }[];
}

export type RoundEffect =
  | SetTimer
  | StartSum
  | RequestAnswers
  | NotifyOwner
  | Publish
  | Bisect
  | PlanNext
  | CollectGarbage
  | RecordHealth;

/** All that a state asks for. */
export function outstandingEffects(state: RoundState): RoundEffect[] {
  const due = dueAtMs(state);
  return [
    { type: 'publish', status: roundStatus(state) },
    ...(due === undefined ? [] : [{ type: 'set-timer' as const, atMs: due }]),
    ...sumEffects(state),
    ...answerEffects(state),
    ...closeEffects(state),
  ];
}

/** What `after` asks for and `before` did not. */
export function newEffects(before: RoundState, after: RoundState): RoundEffect[] {
  if (before === after) return [];
  const asked = outstandingEffects(before);
  return outstandingEffects(after).filter(
    (effect) => !asked.some((earlier) => isDeepStrictEqual(earlier, effect)),
  );
}

function sumEffects(state: RoundState): RoundEffect[] {
  const { phase, sum, sealed } = state;
  if (sum === undefined || sealed === undefined || sum.worker !== undefined) return [];
  if (!isBefore(phase, 'awaiting-answers')) return [];
  const updates = sentUpdates(state).map(({ client, update }) => ({
    client,
    fingerprint: update.fingerprint,
  }));
  return [{ type: 'start-sum', attempt: sum.attempt, set: sealed.set, updates }];
}

function answerEffects(state: RoundState): RoundEffect[] {
  const { phase, aggregate, answers, custodianRefusals, settings } = state;
  if (phase !== 'awaiting-answers' || aggregate === undefined) return [];
  const { fingerprint, set } = aggregate;
  const effects: RoundEffect[] = [{ type: 'request-answers', aggregate: fingerprint, set }];
  if (answers.length >= settings.threshold) {
    const custodians = answers.map(({ custodian }) => custodian).sort();
    effects.push({ type: 'notify-owner', ask: 'open', aggregate: fingerprint, set, custodians });
  } else if (settings.custodians.length - custodianRefusals.length < settings.threshold) {
    const refused = custodianRefusals.map(({ custodian, code }) => `${custodian} (${code})`).sort();
    effects.push({
      type: 'notify-owner',
      ask: 'close',
      reason: `Too many custodians refuse to answer: ${refused.join(', ')}.`,
    });
  }
  return effects;
}

function closeEffects(state: RoundState): RoundEffect[] {
  const { phase, failure, close } = state;
  if (close === undefined) {
    if (phase !== 'failed' || failure === undefined) return [];
    return [{ type: 'notify-owner', ask: 'close', reason: failure.message }];
  }
  // The next round waits for the record: without it those who missed this one have nothing that they may seal.
  return [
    { type: 'collect-garbage' },
    { type: 'record-health', observations: observations(state) },
    ...continuation(state),
  ];
}

function continuation(state: RoundState): RoundEffect[] {
  const { key, opensAtMs, roundIntervalSeconds, lineage } = state.settings;
  const notBeforeMs = nextRoundAtMs(opensAtMs, roundIntervalSeconds);
  if (state.failure?.code !== 'burnt') {
    const cleared = state.close?.opened === true ? lineage?.root : undefined;
    return [{ type: 'plan-next', cohort: cleared ?? key.cohort, notBeforeMs }];
  }
  const cohorts = bisect(spoiltRound(state));
  // Planned again with the same clients, the round would only be spoilt again.
  if (cohorts === undefined) return [{ type: 'notify-owner', ask: 'suspend', clients: suspects(state) }];
  return [{ type: 'bisect', cohorts, notBeforeMs }];
}

/** What each client did. Of those who were in a spoilt sum, nobody knows. */
function observations(state: RoundState): RecordHealth['observations'] {
  return state.members.flatMap((member) => {
    const kind = observation(member, state.failure?.code === 'burnt');
    return kind === undefined ? [] : [{ client: member.client, kind }];
  });
}

/** What the store has lost, its client had sent. */
function isOfTheStore(code: string): boolean {
  return code.startsWith('store.');
}

function observation({ update, mark }: Member, burnt: boolean): Observation | undefined {
  if (update?.refused !== undefined) return isOfTheStore(update.refused.code) ? undefined : 'rejected';
  if (update !== undefined) return burnt ? undefined : 'success';
  if (mark === 'turned-away') return undefined;
  return mark ?? 'absent';
}
