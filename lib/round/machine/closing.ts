/** How a round ends: by the owner's close record, which is the last word, by its release, or by the operator. */
import { RefusedError } from '../../errors.js';
import { bisect, isBurntReason, spoiltRound } from './bisect.js';
import type { EventOf } from './events.js';
import { enter, fail, requireRunning } from './moves.js';
import { isBefore } from './phases.js';
import { acceptedUpdates, digestOfSet, type RoundState } from './state.js';

type Closed = EventOf<'closed'>;

/** Suspects that a reason names; the whole list is the owner's to ask for. */
const NAMED_SUSPECTS = 32;

/**
 * Takes the owner's close record, whatever the service thought of the round before: a record of none ends it, one that
 * lists the aggregate's set opens it, even where the service had given up waiting.
 *
 * @throws RefusedError `round.another-close`, `round.close-without-aggregate`, `round.close-of-another-set`,
 *   `round.close-without-reason`
 */
export function closeRound(state: RoundState, event: Closed): RoundState {
  if (state.close !== undefined) {
    if (state.close.record === event.record) return state;
    throw new RefusedError(
      'round.another-close',
      `The round has the close record ${state.close.record}, and the first one counts. Send that one.`,
    );
  }
  requireSameSet(state, event);
  return event.opened.length > 0 ? opened(state, event) : unopened(state, event);
}

function requireSameSet({ aggregate }: RoundState, { opened: listed, set }: Closed): void {
  if (listed.length > 0 && aggregate === undefined) {
    throw new RefusedError(
      'round.close-without-aggregate',
      'The close record lists updates, and this round has no aggregate that they could have been opened from. Check which round it is for.',
    );
  }
  const named = listed.length > 0 ? distinctSet(listed) : set;
  if (aggregate !== undefined && named !== undefined && named !== aggregate.set) {
    throw new RefusedError(
      'round.close-of-another-set',
      "The close record is for another set than the aggregate's. Close the round with its own aggregate.",
    );
  }
}

/** The digest of a list without repetition; nothing that a set is called otherwise. */
function distinctSet(listed: readonly string[]): string {
  return new Set(listed).size === listed.length ? digestOfSet(listed) : '';
}

function opened(state: RoundState, { record, reason, atMs }: Closed): RoundState {
  return {
    ...enter(state, 'opened', atMs),
    close: { record, opened: true, ...(reason !== undefined && { reason }) },
  };
}

function unopened(state: RoundState, { record, reason, atMs }: Closed): RoundState {
  if (reason === undefined) {
    throw new RefusedError(
      'round.close-without-reason',
      'The close record opens nothing and does not say why. Send one with a reason.',
    );
  }
  const closed: RoundState = { ...state, close: { record, opened: false, reason } };
  if (state.aggregate !== undefined && isBurntReason(reason)) {
    return fail(closed, 'burnt', burntMessage(closed), atMs);
  }
  // A round that had failed before has its own reason, which the record confirms.
  if (state.phase === 'failed') return closed;
  return fail(closed, 'closed-unopened', `The owner closed the round unopened: ${reason}`, atMs);
}

function burntMessage(state: RoundState): string {
  const summed = acceptedUpdates(state).map(({ client }) => client);
  const cohorts = bisect(spoiltRound(state));
  const check = `The sum of ${summed.length} updates fails the owner's check, so one of them is not what it should be.`;
  if (cohorts !== undefined) {
    return `${check} The cohort goes on as ${cohorts.map(({ cohort }) => cohort).join(' and ')}.`;
  }
  const named = summed.slice(0, NAMED_SUSPECTS).join(', ');
  const rest = summed.length - NAMED_SUSPECTS;
  return (
    `${check} The suspects cannot be split above the quorum of ${state.settings.quorum}: ${named}` +
    `${rest > 0 ? ` and ${rest} more` : ''}. Suspend those whom you cannot clear, and plan without them.`
  );
}

/**
 * Ends an opened round with the release that was made of it.
 *
 * @throws RefusedError `round.not-opened`, `round.another-release`
 */
export function releaseRound(state: RoundState, event: EventOf<'released'>): RoundState {
  if (state.release?.fingerprint === event.release) return state;
  if (state.release !== undefined) {
    throw new RefusedError(
      'round.another-release',
      `The round ended with the release ${state.release.fingerprint}. Make another release from another round.`,
    );
  }
  if (state.phase !== 'opened') {
    throw new RefusedError(
      'round.not-opened',
      `The round is ${state.phase}; only one that was opened is released.`,
    );
  }
  return {
    ...enter(state, 'released', event.atMs),
    release: { fingerprint: event.release },
  };
}

/** Ends a running round. @throws RefusedError `round.ended` */
export function abortRound(state: RoundState, event: EventOf<'abort'>): RoundState {
  const message = `The operator ended the round: ${event.reason}`;
  if (state.phase === 'failed' && state.failure?.message === message) return state;
  requireRunning(state);
  return fail(state, 'aborted', message, event.atMs);
}

/** Opens the round before its time. @throws RefusedError `round.ended` */
export function openRound(state: RoundState, event: EventOf<'open'>): RoundState {
  requireRunning(state);
  return isBefore(state.phase, 'open') ? enter(state, 'open', event.atMs) : state;
}
