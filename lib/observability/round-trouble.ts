/** Whether a round waits for longer than it should, and for what. */
import type { RecordOf } from './records.js';

/** Of a round as records and listings have it. */
export type RoundAtAGlance = Pick<
  RecordOf<'round'>,
  'phase' | 'deadlineMs' | 'enteredAtMs' | 'answered' | 'threshold' | 'received' | 'quorum'
> & { readonly closed: boolean };

const MINUTE_MS = 60_000;
/** Servers look again at every round at least this often. */
const LATE_SERVER_MS = 2 * MINUTE_MS;
/** Several times what a sum takes that lost its worker twice (docs/soak.md). */
const LONG_SUM_MS = 10 * MINUTE_MS;
/** Agents look for work every half minute; what needs people takes longer. */
const LONG_WAIT_MS = 30 * MINUTE_MS;

/** @returns undefined where it goes on by itself; else one sentence, with what to do */
export function troubleOf(round: RoundAtAGlance, nowMs: number): string | undefined {
  const { phase, deadlineMs, enteredAtMs, answered, threshold } = round;
  const sinceMs = nowMs - (enteredAtMs[phase] ?? nowMs);
  switch (phase) {
    case 'open':
      return nowMs - deadlineMs > LATE_SERVER_MS
        ? 'Its deadline has passed and no server has ended it: is one running?'
        : undefined;
    case 'sealed-off':
    case 'summing':
      return sinceMs > LONG_SUM_MS ? "Its sum does not come: look at the servers' logs." : undefined;
    case 'awaiting-answers':
      if (sinceMs <= LONG_WAIT_MS) return undefined;
      return answered < threshold
        ? `${answered} of ${threshold} custodians have answered: are their agents running ("custodian run")?`
        : 'Enough custodians have answered: the owner has not opened it ("owner run").';
    case 'failed':
      return !round.closed && sinceMs > LONG_WAIT_MS
        ? 'It failed, and waits for the owner\'s close record ("owner run"): until then none of its clients seals its delta again.'
        : undefined;
    default:
      return undefined;
  }
}
