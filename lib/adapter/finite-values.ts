/** Tells values that can be averaged from values that would poison an average. */
import { FormatError } from '../errors.js';
import { quoteName } from './json-cursor.js';

/** All ones in the exponent: an infinity or a NaN (IEEE 754-2019, section 3.4). */
const EXPONENT_MASK = 0x7f80_0000;

/** The index of the first NaN or infinity in `values`, or -1. */
export function firstNonFinite(values: Float32Array): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) {
    if (((bits[i] as number) & EXPONENT_MASK) === EXPONENT_MASK) return i;
  }
  return -1;
}

/**
 * Refuses a tensor that holds a NaN or an infinity.
 *
 * @throws FormatError `safetensors.non-finite`, naming the tensor and the first index
 */
export function refuseNonFinite(name: string, values: Float32Array): void {
  const index = firstNonFinite(values);
  if (index >= 0) {
    throw new FormatError(
      'safetensors.non-finite',
      `Tensor ${quoteName(name)} holds ${values[index]} at index ${index}. Training has diverged; do not use this adapter.`,
    );
  }
}
