/** What outlier tests say of the sealed set: once, whichever worker asked them first, so that every attempt sums the same. */
import { RefusedError } from '../../errors.js';
import type { EventOf } from './events.js';
import { shortReason } from './fields.js';
import { type RoundState, sentUpdates } from './state.js';
import { requireSumming } from './summing.js';

/**
 * Marks what is flagged. The first judgement counts; another one changes nothing.
 *
 * @throws RefusedError `round.not-sealed-off`, `round.sum-done`, `round.ended`, `round.outlier-of-another-set`
 */
export function markOutliers(state: RoundState, event: EventOf<'outliers-judged'>): RoundState {
  if (state.outliers !== undefined) return state;
  requireSumming(state);
  const flagged = new Map(event.flagged.map((each) => [each.fingerprint, each]));
  const sealed = new Set(sentUpdates(state).map(({ update }) => update.fingerprint));
  if (flagged.size !== event.flagged.length || [...flagged.keys()].some((each) => !sealed.has(each))) {
    throw new RefusedError(
      'round.outlier-of-another-set',
      'The judgement names an update twice, or one that is not in the sealed set. Judge the sealed set.',
    );
  }
  return {
    ...state,
    outliers: { action: event.action },
    members: state.members.map((member) => {
      const found = member.update && flagged.get(member.update.fingerprint);
      if (member.update === undefined || found === undefined) return member;
      const outlier = { test: found.test, reason: shortReason(found.reason) };
      return { ...member, update: { ...member.update, outlier } };
    }),
  };
}
