/**
 * Uniform quantization with a public scale: values to small integers that can be summed exactly, and
 * the sum of many robots' integers back to the mean of their values.
 *
 * The scale comes from a clip bound that the plan announces, the same for all robots of a round: sums
 * line up, and nobody's scale tells how large its values were. Zero is a level, and levels are
 * symmetric, so that a quantized mean of zeros is zero and no sign is favoured.
 */
import { FormatError, ParameterError } from '../errors.js';

export const MIN_BITS = 2;
export const MAX_BITS = 8;

/**
 * 1.5 * 2^52: adding it to a double below 2^51 in magnitude leaves no fraction bits, so the addition
 * itself rounds half to even, and taking it away again is exact.
 */
const ROUNDING_SHIFT = 6755399441055744;

/** The largest level of `bits` bits, 2^(bits-1) - 1. @throws ParameterError `pipeline.bits` */
export function largestLevel(bits: number): number {
  if (!Number.isInteger(bits) || bits < MIN_BITS || bits > MAX_BITS) {
    throw new ParameterError('pipeline.bits', `Values take ${MIN_BITS} to ${MAX_BITS} bits, not ${bits}.`);
  }
  return 2 ** (bits - 1) - 1;
}

/**
 * The width of one level such that the largest level stands for `clip`: clip / (2^(bits-1) - 1).
 *
 * @param clip the bound on |value|, positive
 * @throws ParameterError `pipeline.clip`, `pipeline.bits`
 */
export function uniformScale(clip: number, bits: number): number {
  const scale = clip / largestLevel(bits);
  if (!(scale > 0) || !Number.isFinite(scale)) {
    throw new ParameterError('pipeline.clip', `The clip bound must be positive and finite, not ${clip}.`);
  }
  return scale;
}

/**
 * Quantizes `values` into `out[outOffset ...]`: round(value / scale), half to even, clamped to
 * +-(2^(bits-1) - 1). Within the clip bound the error is at most scale / 2.
 *
 * @param values of any length; read only
 * @param out the caller's, with room for `values.length` from `outOffset` on; unspecified after an error
 * @returns how many values were clamped, that is, lay more than half a level beyond the clip bound
 * @throws FormatError `pipeline.non-finite`; ParameterError `pipeline.bits`, `pipeline.scale`,
 *   `pipeline.out-length`
 */
export function quantizeUniform(
  values: Float32Array,
  scale: number,
  bits: number,
  out: Int32Array,
  outOffset: number,
): { saturated: number } {
  const limit = largestLevel(bits);
  checkScale(scale);
  checkRange('The array for the levels', out.length, outOffset, values.length);
  let saturated = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (value - value !== 0) {
      throw new FormatError(
        'pipeline.non-finite',
        `Value ${i} is ${value}; only finite values can be averaged. Training has diverged.`,
      );
    }
    // Beyond 2^51 the shift no longer rounds; what it leaves is still far beyond the limit.
    let level = value / scale + ROUNDING_SHIFT - ROUNDING_SHIFT;
    if (level > limit) {
      level = limit;
      saturated++;
    } else if (level < -limit) {
      level = -limit;
      saturated++;
    }
    out[outOffset + i] = level;
  }
  return { saturated };
}

/**
 * Turns sums of levels into the mean of the values behind them: sum * scale / contributors, rounded
 * once to float32.
 *
 * @param sums sums over `contributors` robots; elements `offset` to `offset + count` are read
 * @param contributors how many updates were summed, at least 1
 * @param out the caller's, exactly `count` elements
 * @throws ParameterError `pipeline.scale`, `pipeline.contributors`, `pipeline.out-length`
 */
export function dequantizeMean(
  sums: Int32Array,
  offset: number,
  count: number,
  scale: number,
  contributors: number,
  out: Float32Array,
): void {
  checkScale(scale);
  if (!Number.isSafeInteger(contributors) || contributors < 1) {
    throw new ParameterError(
      'pipeline.contributors',
      `A mean needs one contributor or more, not ${contributors}.`,
    );
  }
  checkRange('The array of sums', sums.length, offset, count);
  if (out.length !== count) {
    throw new ParameterError(
      'pipeline.out-length',
      `${count} means do not fit an array of ${out.length} exactly.`,
    );
  }
  for (let i = 0; i < count; i++) out[i] = ((sums[offset + i] as number) * scale) / contributors;
}

function checkScale(scale: number): void {
  if (!(scale > 0) || !Number.isFinite(scale)) {
    throw new ParameterError('pipeline.scale', `The scale must be positive and finite, not ${scale}.`);
  }
}

function checkRange(what: string, length: number, offset: number, count: number): void {
  const inside = Number.isSafeInteger(offset) && Number.isSafeInteger(count) && offset >= 0 && count >= 0;
  if (!inside || offset + count > length) {
    throw new ParameterError(
      'pipeline.out-length',
      `${what} has ${length} elements; ${count} from ${offset} on were asked for.`,
    );
  }
}
