/** Quantiles of the standard normal distribution. */
import { normalUpperTail } from '../../pipeline/allocation/normal-distribution.js';
import { bisect } from './interval.js';

/** The z with P(Z > z) = tail. @param tail in (0, 0.5) */
export function normalUpperQuantile(tail: number): number {
  return bisect(0, 38, (z) => normalUpperTail(z) > tail);
}
