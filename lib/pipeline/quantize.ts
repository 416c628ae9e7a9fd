/** Stochastic quantization with public scales: values to integer levels whose mean is the value. */
import { ParameterError } from '../errors.js';
import { native, type QuantizationStatistics, threadCount } from '../native.js';
import { type Hedge, nativeHedge } from './hedging.js';

/** The largest level that a clamp may allow. */
export const MAX_LEVEL_LIMIT = 2 ** 20;
/** Above this, the sum of a part's squares might not fit 63 bits. */
const MAX_SUM_OF_SQUARES = 2 ** 63;

export interface QuantizeRequest extends Hedge {
  /** Finite values, in any unit; not changed. */
  readonly values: Float32Array;
  /** How many values each part has; parts lie back to back and hold all values. */
  readonly counts: Uint32Array;
  /** Levels a unit of value, one a part: finite; 0 gives levels 0. */
  readonly factors: Float32Array;
  /** The clamp on |level|, one a part, 1..2^20. */
  readonly limits: Uint32Array;
  /** Out: one level a value. */
  readonly levels: Int32Array;
  readonly threads?: number;
}

/**
 * level = floor(y + r / 65536) for y = value * factor and sixteen secret random bits r, clamped to +-limit. All in
 * float32, so that every instruction set gives the same levels for the same r.
 *
 * The mean of a level is y rounded down to a multiple of 2^-16: off by less than 2^-16 of a level while |y| <= 128.
 * The sum y + r / 65536 is rounded to float32: from |y| = 256 on its steps are larger than 2^-16 (2^-15 of a level at
 * 256, twice as much for each doubling, 2^-4 just below 2^20), and half a step is the bound on the mean's error.
 *
 * @returns of each part, how many levels the clamp changed, and the exact sum of the levels' squares (below 2^53; the
 *   nearest double beyond)
 * @throws ParameterError `pipeline.value-count`, `pipeline.parts`, `pipeline.factor`, `pipeline.limit`,
 *   `pipeline.out-length`, `pipeline.plan-fingerprint`, `stream.wrong-length`
 */
export async function quantize(request: QuantizeRequest): Promise<QuantizationStatistics> {
  const { values, counts, factors, limits, levels } = request;
  requireParts(request);
  if (levels.length !== values.length) {
    throw new ParameterError(
      'pipeline.out-length',
      `${values.length} values give as many levels; the array for them has ${levels.length}.`,
    );
  }
  return native().quantize({
    ...nativeHedge(request, values),
    values,
    counts,
    factors,
    limits,
    levels,
    threads: threadCount(request.threads),
  });
}

function requireParts({ values, counts, factors, limits }: QuantizeRequest): void {
  if (values.length < 1) {
    throw new ParameterError('pipeline.value-count', 'There is nothing to quantize.');
  }
  if (factors.length !== counts.length || limits.length !== counts.length) {
    throw new ParameterError(
      'pipeline.parts',
      `${counts.length} parts need as many factors and limits, not ${factors.length} and ${limits.length}.`,
    );
  }
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total !== values.length) {
    throw new ParameterError(
      'pipeline.parts',
      `The parts hold ${total} values; ${values.length} were given.`,
    );
  }
  for (const [i, limit] of limits.entries()) {
    const largestSum = (counts[i] as number) * limit ** 2;
    if (limit < 1 || limit > MAX_LEVEL_LIMIT || largestSum > MAX_SUM_OF_SQUARES) {
      throw new ParameterError(
        'pipeline.limit',
        `Part ${i} has ${counts[i]} values and the limit ${limit}: limits are 1 to ${MAX_LEVEL_LIMIT}, and a part's ` +
          'values times its limit squared at most 2^63.',
      );
    }
    if (!Number.isFinite(factors[i])) {
      throw new ParameterError(
        'pipeline.factor',
        `The factor of part ${i} is ${factors[i]}; it must be finite.`,
      );
    }
  }
}
