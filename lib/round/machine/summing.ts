/** The sum of a sealed set: claimed under a lease, finished once, by whichever worker comes first. */
import { RefusedError } from '../../errors.js';
import type { EventOf } from './events.js';
import { shortReason } from './fields.js';
import { enter, fail, nextAttempt, requireRunning } from './moves.js';
import { isBefore } from './phases.js';
import { digestOfSet, type RoundState, sentUpdates } from './state.js';

type RefusedInSum = EventOf<'sum-finished'>['refused'];

/**
 * Gives the attempt to a worker, or starts the lease of the worker that has it again.
 *
 * @throws RefusedError `round.not-sealed-off`, `round.sum-done`, `round.ended`, `round.attempt-over`, `round.sum-claimed`
 */
export function claimSum(state: RoundState, event: EventOf<'sum-claimed'>): RoundState {
  const sum = requireSumming(state);
  if (event.attempt !== sum.attempt) throw attemptOver(event.attempt, sum.attempt);
  if (sum.worker !== undefined && sum.worker !== event.worker) {
    throw new RefusedError(
      'round.sum-claimed',
      `Worker "${sum.worker}" has this attempt until ${new Date(sum.leaseEndsMs).toISOString()}. Leave it to that worker.`,
    );
  }
  const leaseEndsMs = Math.max(sum.leaseEndsMs, event.atMs + state.settings.sumLeaseMs);
  if (sum.worker === event.worker && leaseEndsMs === sum.leaseEndsMs) return state;
  const entered = state.phase === 'summing' ? state : enter(state, 'summing', event.atMs);
  return { ...entered, sum: { attempt: sum.attempt, worker: event.worker, leaseEndsMs } };
}

/**
 * Takes the aggregate. A worker whose lease has run out may finish too: what counts is the set. Once there is an
 * aggregate, another one of the same set changes nothing.
 *
 * @throws RefusedError `round.not-sealed-off`, `round.ended`, `round.aggregate-of-another-set`, `round.another-aggregate`,
 *   `round.aggregate-below-quorum`
 */
export function finishSum(state: RoundState, event: EventOf<'sum-finished'>): RoundState {
  const { accepted, refused, atMs } = event;
  if (state.aggregate !== undefined) {
    if (isWholeSet(state, accepted, []) && digestOfSet(accepted) === state.aggregate.set) return state;
    throw new RefusedError(
      'round.another-aggregate',
      'The round has the aggregate of another set already, and custodians answer for one. Discard this one.',
    );
  }
  requireSumming(state);
  if (!isWholeSet(state, accepted, refused)) {
    throw new RefusedError(
      'round.aggregate-of-another-set',
      'The aggregate does not say of each update of the sealed set, and of no other, whether it was accepted or refused. Discard it and sum again.',
    );
  }
  if (accepted.length < state.settings.quorum) {
    throw new RefusedError(
      'round.aggregate-below-quorum',
      `The aggregate has ${accepted.length} updates; the quorum is ${state.settings.quorum}. Discard it and report the failure.`,
    );
  }
  const { answerWindowMs } = state.settings;
  return {
    ...enter(withRefused(state, refused), 'awaiting-answers', atMs),
    aggregate: {
      fingerprint: event.aggregate,
      set: digestOfSet(accepted),
      worker: event.worker,
      ...(answerWindowMs !== undefined && { answersDueMs: atMs + answerWindowMs }),
    },
  };
}

/**
 * Ends an attempt that failed; the next one begins, or the round has failed.
 *
 * @throws RefusedError `round.not-sealed-off`, `round.sum-done`, `round.ended`, `round.attempt-over`, `round.sum-claimed`,
 *   `round.aggregate-of-another-set`
 */
export function failSum(state: RoundState, event: EventOf<'sum-failed'>): RoundState {
  const sum = requireSumming(state);
  if (event.attempt !== sum.attempt) throw attemptOver(event.attempt, sum.attempt);
  if (sum.worker !== event.worker) {
    throw new RefusedError(
      'round.sum-claimed',
      `Worker "${event.worker}" does not have this attempt, and cannot end it. Claim it first.`,
    );
  }
  const why = `${event.code}: ${shortReason(event.reason)}`;
  if (event.retryable) return nextAttempt(state, why, event.atMs);
  const refused = event.refused ?? [];
  const sealed = new Set(sentUpdates(state).map(({ update }) => update.fingerprint));
  if (!isWithout(refused, sealed)) {
    throw new RefusedError(
      'round.aggregate-of-another-set',
      'The worker refused updates that are not in the sealed set. Sum again.',
    );
  }
  return fail(
    withRefused(state, refused),
    'summing-failed',
    `The updates cannot be summed: ${why}`,
    event.atMs,
  );
}

function isWithout(refused: RefusedInSum, sealed: ReadonlySet<string>): boolean {
  const fingerprints = refused.map(({ fingerprint }) => fingerprint);
  return (
    new Set(fingerprints).size === fingerprints.length &&
    fingerprints.every((fingerprint) => sealed.has(fingerprint))
  );
}

/** Whether accepted and refused updates together are the sealed set; those that are refused already may be left out. */
function isWholeSet(state: RoundState, accepted: readonly string[], refused: RefusedInSum): boolean {
  const sealed = sentUpdates(state).map(({ update }) => update);
  const named = [
    ...accepted,
    ...refused.map(({ fingerprint }) => fingerprint),
    ...sealed.filter((update) => update.refused !== undefined).map(({ fingerprint }) => fingerprint),
  ];
  const expected = new Set(sealed.map(({ fingerprint }) => fingerprint));
  return (
    named.length === expected.size &&
    new Set(named).size === named.length &&
    named.every((fingerprint) => expected.has(fingerprint))
  );
}

function withRefused(state: RoundState, refused: RefusedInSum): RoundState {
  if (refused.length === 0) return state;
  const reasons = new Map(refused.map((entry) => [entry.fingerprint, entry]));
  return {
    ...state,
    members: state.members.map((member) => {
      const entry = member.update && reasons.get(member.update.fingerprint);
      if (member.update === undefined || entry === undefined) return member;
      return {
        ...member,
        update: { ...member.update, refused: { code: entry.code, reason: shortReason(entry.reason) } },
      };
    }),
  };
}

/** @throws RefusedError `round.not-sealed-off`, `round.sum-done`, `round.ended` */
export function requireSumming(state: RoundState): NonNullable<RoundState['sum']> {
  requireRunning(state);
  if (state.sum === undefined) {
    throw new RefusedError(
      'round.not-sealed-off',
      'The round still takes updates; there is no set to sum. Wait until it is sealed off.',
    );
  }
  if (!isBefore(state.phase, 'awaiting-answers')) {
    throw new RefusedError('round.sum-done', 'The updates are summed. There is nothing left to do.');
  }
  return state.sum;
}

function attemptOver(attempt: number, current: number): RefusedError {
  return new RefusedError(
    'round.attempt-over',
    `The sum is in attempt ${current}; attempt ${attempt} is none that can be worked on. Read the state again.`,
  );
}
