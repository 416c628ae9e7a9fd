/** What time alone does to a round. */
import { enter, fail, nextAttempt, sealOff } from './moves.js';
import { type RoundState, sentUpdates } from './state.js';

/**
 * When time next changes the round, if nothing else does; undefined where it waits for somebody, or has ended. A timer
 * is nothing but this: whoever loads the state knows when to wake up, whoever set the timer before.
 */
export function dueAtMs(state: RoundState): number | undefined {
  switch (state.phase) {
    case 'planned':
      return state.settings.opensAtMs;
    case 'open':
      return state.settings.deadlineMs;
    case 'sealed-off':
    case 'summing':
      return state.sum?.leaseEndsMs;
    case 'awaiting-answers':
      return state.aggregate?.answersDueMs;
    default:
      return undefined;
  }
}

/**
 * The state after everything that is due at `atMs`. The same time twice, or an earlier one after it, changes nothing.
 *
 * After an outage the leases that ran out meanwhile cost one attempt: the next one starts at `atMs`.
 */
export function passTime(state: RoundState, atMs: number): RoundState {
  let now = state;
  for (;;) {
    const due = dueAtMs(now);
    if (due === undefined || atMs < due) return now;
    now = fire(now, atMs);
  }
}

function fire(state: RoundState, atMs: number): RoundState {
  switch (state.phase) {
    case 'planned':
      return enter(state, 'open', atMs);
    case 'open':
      return atDeadline(state, atMs);
    case 'awaiting-answers':
      return fail(state, 'custodians-missing', missingCustodians(state), atMs);
    default:
      return nextAttempt(
        state,
        state.sum?.worker === undefined ? 'no worker took it' : `worker "${state.sum.worker}" fell silent`,
        atMs,
      );
  }
}

function atDeadline(state: RoundState, atMs: number): RoundState {
  const { quorum } = state.settings;
  const received = sentUpdates(state).length;
  if (received >= quorum) return sealOff(state, atMs);
  return fail(
    state,
    'below-quorum',
    `${received} of ${state.members.length} clients had sent an update at the deadline; the quorum is ${quorum}.`,
    atMs,
  );
}

function missingCustodians({ settings, answers, custodianRefusals }: RoundState): string {
  const refused = custodianRefusals.map(({ custodian, code }) => `${custodian} (${code})`);
  return (
    `${answers.length} of ${settings.custodians.length} custodians had answered in time; ` +
    `${settings.threshold} are needed.${refused.length > 0 ? ` Refused: ${refused.slice(0, 16).join(', ')}.` : ''}`
  );
}
