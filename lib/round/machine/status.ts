/** What is published of a round: to every role, hence no statistics, and of clients only what a reason says. */
import type { RoundKey } from '../../custody/round-key.js';
import type { Phase } from './phases.js';
import { acceptedUpdates, type FailureCode, type RoundState, sentUpdates } from './state.js';

export interface RoundStatus {
  readonly key: RoundKey;
  /** Fingerprint of the plan. */
  readonly plan: string;
  readonly phase: Phase;
  readonly enteredAtMs: Readonly<Partial<Record<Phase, number>>>;
  readonly opensAtMs: number;
  readonly deadlineMs: number;
  readonly quorum: number;
  readonly maxClients: number;
  readonly eligible: number;
  readonly updates: {
    /** From the sealing-off on, the size of the sealed set. */
    readonly received: number;
    /** In the aggregate; absent while there is none. */
    readonly accepted?: number;
    /** Uploads that were refused on arrival. */
    readonly refused: number;
  };
  readonly sumAttempt?: number;
  readonly aggregate?: { readonly fingerprint: string; readonly set: string };
  readonly answers: { readonly received: number; readonly refused: number; readonly threshold: number };
  /** Until a round has one, none of its clients seals its delta again. */
  readonly close?: { readonly record: string; readonly opened: boolean };
  readonly release?: string;
  /** There once the round has ended. */
  readonly outcome?: { readonly code: 'opened' | 'released' | FailureCode; readonly reason: string };
}

export function roundStatus(state: RoundState): RoundStatus {
  const { settings, aggregate, close, release } = state;
  const outcome = outcomeOf(state);
  return {
    key: settings.key,
    plan: settings.plan,
    phase: state.phase,
    enteredAtMs: state.enteredAtMs,
    opensAtMs: settings.opensAtMs,
    deadlineMs: settings.deadlineMs,
    quorum: settings.quorum,
    maxClients: settings.maxClients,
    eligible: state.members.length,
    updates: {
      received: sentUpdates(state).length,
      ...(aggregate !== undefined && { accepted: acceptedUpdates(state).length }),
      refused: state.refusals.length + state.unlistedRefusals,
    },
    ...(state.sum !== undefined && { sumAttempt: state.sum.attempt }),
    ...(aggregate !== undefined && {
      aggregate: { fingerprint: aggregate.fingerprint, set: aggregate.set },
    }),
    answers: {
      received: state.answers.length,
      refused: state.custodianRefusals.length,
      threshold: settings.threshold,
    },
    ...(close !== undefined && { close: { record: close.record, opened: close.opened } }),
    ...(release !== undefined && { release: release.fingerprint }),
    ...(outcome !== undefined && { outcome }),
  };
}

function outcomeOf(state: RoundState): RoundStatus['outcome'] {
  const { phase, failure } = state;
  if (phase === 'failed' && failure !== undefined) return { code: failure.code, reason: failure.message };
  if (phase !== 'opened' && phase !== 'released') return undefined;
  const accepted = acceptedUpdates(state).length;
  const refused = sentUpdates(state).length - accepted;
  const gaveUp = failure === undefined ? '' : ` The service had given up before: ${failure.message}`;
  return {
    code: phase,
    reason: `The owner opened the sum of ${accepted} updates; the sum left out ${refused}.${gaveUp}`,
  };
}
