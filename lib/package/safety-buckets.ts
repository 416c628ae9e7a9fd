/**
 * Coarsens the safety statistics of an update, which travel in the clear header, where everybody reads them.
 *
 * Exact values would be fingerprints of what a robot saw: a gradient norm to 15 digits tells two batches
 * apart, a count of saturated values the exact delta. What remains after bucketing, and is to be known
 * before statistics are declared at all:
 *
 * - a count is one of 42 values (0 and the powers of two up to 2^40), 5.4 bits; whether it is 0 is exact;
 * - a norm is one of 130 values, 7.1 bits; a signed score one of 259, 8.1 bits;
 * - a value that wanders over a boundary shows that it did, and rounds add up. Bucketing is no noise: it
 *   gives no differential privacy, and the accountant counts nothing for it.
 */
import type { SafetyStatistics } from './messages/update.js';

/** Beyond these a norm or score says that training has gone wrong, and how far is nobody's business. */
const SMALLEST_MAGNITUDE = 2 ** -32;
const LARGEST_MAGNITUDE = 2 ** 32;

/**
 * The statistics as they may travel; absent ones stay absent, and bucketing twice changes nothing.
 *
 * Counts (`saturatedValues`, `constraintViolations`) are rounded up to 0 or a power of two, the others to the
 * nearest number of two significant binary digits (+-2^k or +-1.5 * 2^k, halves away from zero, at most
 * 20 % off): below 2^-32 to 0, above 2^32 to 2^32. All keep their order.
 *
 * @param statistics within the bounds of an update's header: counts up to 2^40, finite numbers
 */
export function bucketSafety(statistics: SafetyStatistics): SafetyStatistics {
  const { saturatedValues, constraintViolations, ...magnitudes } = statistics;
  const bucketed: SafetyStatistics = {};
  if (saturatedValues !== undefined) bucketed.saturatedValues = bucketCount(saturatedValues);
  if (constraintViolations !== undefined) bucketed.constraintViolations = bucketCount(constraintViolations);
  for (const [name, value] of Object.entries(magnitudes) as [keyof typeof magnitudes, number | undefined][]) {
    if (value !== undefined) bucketed[name] = bucketMagnitude(value);
  }
  return bucketed;
}

function bucketCount(count: number): number {
  let bucket = Math.min(count, 1);
  while (bucket < count) bucket *= 2;
  return bucket;
}

/** The nearest number of two significant binary digits, as `bucketSafety` has it. */
export function bucketMagnitude(value: number): number {
  const magnitude = Math.abs(value);
  if (magnitude < SMALLEST_MAGNITUDE) return 0;
  if (magnitude >= LARGEST_MAGNITUDE) return Math.sign(value) * LARGEST_MAGNITUDE;
  // The logarithm may be off by one at a power of two; the loops make the exponent exact.
  let lead = 2 ** Math.floor(Math.log2(magnitude));
  while (lead > magnitude) lead /= 2;
  while (lead * 2 <= magnitude) lead *= 2;
  // In halves of the leading digit: 2 (1.0), 3 (1.5), or 4, which is the next power of two.
  return (Math.sign(value) * Math.floor((magnitude / lead) * 2 + 0.5) * lead) / 2;
}
