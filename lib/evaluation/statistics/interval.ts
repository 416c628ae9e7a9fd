/** What every estimate of an evaluation comes with. */

/**
 * Two one-sided confidence limits. Each alone is wrong with the error probability that it was asked for: read together they
 * are an interval of confidence 1 - 2 * limitError.
 */
export interface Interval {
  readonly lower: number;
  readonly upper: number;
}

/** @throws RangeError where the error of a limit is no probability below one half: a fault of the caller */
export function requireLimitError(limitError: number): void {
  if (!(limitError > 0 && limitError < 0.5))
    throw new RangeError(`limit error ${limitError} is not in (0, 0.5)`);
}

/** The x in [low, high] at which `isBelow` turns from true to false, to the last bit or to 2^-100 of the range. */
export function bisect(low: number, high: number, isBelow: (x: number) => boolean): number {
  let [from, to] = [low, high];
  for (let i = 0; i < 100; i += 1) {
    const middle = from + (to - from) / 2;
    if (middle <= from || middle >= to) break;
    if (isBelow(middle)) from = middle;
    else to = middle;
  }
  return from + (to - from) / 2;
}
