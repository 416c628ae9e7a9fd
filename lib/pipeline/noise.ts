/** Integer noise for differential privacy, drawn by inversion of a cumulative table in constant time. */
import { ParameterError } from '../errors.js';
import { native, threadCount } from '../native.js';
import { type Hedge, nativeHedge } from './hedging.js';

export const MAX_THRESHOLDS = 2 ** 16;
export const MAX_DRAWS = 2 ** 16 - 1;
/** What may be added to a level stays below this, so that levels below 2^30 do not wrap. */
export const MAX_ADDED_NOISE = 2 ** 30;

export interface NoiseRequest extends Hedge {
  /** Changed in place; |level| < 2^30. */
  readonly levels: Int32Array;
  /**
   * The cumulative distribution of a sample's magnitude in units of 2^-63: thresholds[k] is 2^63 times the probability
   * of a magnitude of at most k. Ascending, below 2^63, at most 65536 of them.
   */
  readonly thresholds: BigUint64Array;
  /** How many independent samples are added to each level, 1..65535. */
  readonly draws: number;
  readonly threads?: number;
}

/**
 * Adds `draws` independent samples to every level. A sample is sign * magnitude: 63 random bits u give the magnitude
 * #{k : thresholds[k] <= u}, one more the sign (of a magnitude of 0 too, where it says nothing). The time does not
 * depend on what is drawn: the whole table is scanned for every sample.
 *
 * @throws ParameterError `pipeline.value-count`, `pipeline.thresholds`, `pipeline.draws`,
 *   `pipeline.plan-fingerprint`, `stream.wrong-length`
 */
export async function addNoise(request: NoiseRequest): Promise<void> {
  const { levels, thresholds, draws } = request;
  if (levels.length < 1) {
    throw new ParameterError('pipeline.value-count', 'There is nothing to add noise to.');
  }
  requireThresholds(thresholds);
  if (!Number.isInteger(draws) || draws < 1 || draws > MAX_DRAWS) {
    throw new ParameterError('pipeline.draws', `Draws are 1 to ${MAX_DRAWS}, not ${draws}.`);
  }
  if (draws * thresholds.length >= MAX_ADDED_NOISE || levels.length * draws >= 2 ** 38) {
    throw new ParameterError(
      'pipeline.draws',
      `${draws} draws of at most ${thresholds.length} for ${levels.length} values are too many: draws times ` +
        'thresholds stay below 2^30, draws times values below 2^38. Use a table of a wider distribution.',
    );
  }
  return native().addNoise({
    ...nativeHedge(request, levels),
    levels,
    thresholds,
    draws,
    threads: threadCount(request.threads),
  });
}

function requireThresholds(thresholds: BigUint64Array): void {
  if (thresholds.length < 1 || thresholds.length > MAX_THRESHOLDS) {
    throw new ParameterError(
      'pipeline.thresholds',
      `A table has 1 to ${MAX_THRESHOLDS} thresholds, not ${thresholds.length}.`,
    );
  }
  let last = 0n;
  for (const [k, threshold] of thresholds.entries()) {
    if (threshold < last || threshold >= 2n ** 63n) {
      throw new ParameterError(
        'pipeline.thresholds',
        `Threshold ${k} is ${threshold}; thresholds ascend and stay below 2^63.`,
      );
    }
    last = threshold;
  }
}
