/** When the next round may open. */
import { ParameterError } from '../../errors.js';
import { integerSchema } from '../../package/messages/common.js';

/** The envelope's bounds of `roundIntervalSeconds`: ten minutes to a day. */
export const roundIntervalSecondsSchema = integerSchema(600, 86_400);

/**
 * One interval after the last planned opening: openings do not drift with what a round took, and a round that took
 * longer than the interval is followed at once (the time is then in the past).
 *
 * @param lastOpensAtMs milliseconds since 1970
 * @param roundIntervalSeconds 600 to 86400
 * @throws ParameterError `round.bad-interval`
 */
export function nextRoundAtMs(lastOpensAtMs: number, roundIntervalSeconds: number): number {
  if (!roundIntervalSecondsSchema.safeParse(roundIntervalSeconds).success) {
    throw new ParameterError(
      'round.bad-interval',
      `Rounds are 600 to 86400 seconds apart, a whole number: ${roundIntervalSeconds} is none.`,
    );
  }
  return lastOpensAtMs + roundIntervalSeconds * 1_000;
}
