/** Releases to account for. */
import fc from 'fast-check';
import { MECHANISMS, type Release } from '../../../lib/privacy/release.js';

/** A release of which several fit into an epsilon of 2. */
export function release(change: Partial<Release> = {}): Release {
  return {
    mechanism: 'skellam',
    clientVariance: 10_000,
    honest: 5,
    l2Squared: 1000,
    dimension: 100,
    draws: 1,
    ...change,
  };
}

export const anyRelease: fc.Arbitrary<Release> = fc.record({
  mechanism: fc.constantFrom(...MECHANISMS),
  clientVariance: fc.integer({ min: 4, max: 1_000_000 }),
  honest: fc.integer({ min: 1, max: 50 }),
  l2Squared: fc.integer({ min: 1, max: 1_000_000 }),
  dimension: fc.integer({ min: 1, max: 1_000_000 }),
  draws: fc.integer({ min: 1, max: 4 }),
});
