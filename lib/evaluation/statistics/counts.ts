/** Limits of how many events an episode has on average, where events may come in clusters. */
import { gammaQuantile } from './gamma.js';
import { type Interval, requireLimitError } from './interval.js';

/**
 * Limits of the mean of counts. Episodes with events arrive as a Poisson process, each with some number of events: a weighted
 * sum of Poisson variables, whose limits are those of Fay and Feuer (Statistics in Medicine 16, 1997). Where no episode has
 * more than one event they are Garwood's exact Poisson limits; clusters widen them.
 *
 * @param counts of each episode, integers at least 0; at least one episode
 * @param limitError error probability of each limit, in (0, 0.5)
 */
export function meanCountInterval(counts: readonly number[], limitError: number): Interval {
  requireLimitError(limitError);
  let sum = 0;
  let squares = 0;
  let largest = 1;
  for (const count of counts) {
    sum += count;
    squares += count * count;
    largest = Math.max(largest, count);
  }
  // What one more cluster, as large as the largest seen, would add: the sample may have missed it by chance.
  const above = { sum: sum + largest, squares: squares + largest * largest };
  return {
    lower: sum === 0 ? 0 : scaledQuantile(sum, squares, limitError) / counts.length,
    upper: scaledQuantile(above.sum, above.squares, 1 - limitError) / counts.length,
  };
}

/** Quantile of the gamma distribution with mean `sum` and variance `squares`. */
function scaledQuantile(sum: number, squares: number, probability: number): number {
  return (squares / sum) * gammaQuantile((sum * sum) / squares, probability);
}
