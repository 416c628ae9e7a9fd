/** What a tensor is, apart from its values: name, element type, shape. */
import { FormatError } from '../errors.js';
import { quoteName } from './json-cursor.js';

/** The element types that adapters hold. Everything else is refused. */
export type TensorDtype = 'F32' | 'F16' | 'BF16';

export const DTYPE_SIZE_BYTES: Readonly<Record<TensorDtype, number>> = { F32: 4, F16: 2, BF16: 2 };

/** PyTorch and NumPy stop at 64 dimensions as well. */
export const MAX_RANK = 64;

export interface TensorInfo {
  readonly name: string;
  readonly dtype: TensorDtype;
  /** Dimensions, outermost first; empty for a scalar. A dimension may be 0. */
  readonly shape: readonly number[];
  /** The product of `shape`. */
  readonly elementCount: number;
}

/** Orders strings by their UTF-8 bytes (the order of code points, which `<` on UTF-16 is not). */
export function compareBytewise(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left, 'utf8'), Buffer.from(right, 'utf8'));
}

export function isDtype(text: string): text is TensorDtype {
  return Object.hasOwn(DTYPE_SIZE_BYTES, text);
}

/**
 * The number of elements of a `shape`, checked so that the count and its size in bytes are exact.
 *
 * @throws FormatError `safetensors.shape-invalid`, `safetensors.shape-overflow`
 */
export function countElements(name: string, shape: readonly number[]): number {
  if (shape.length > MAX_RANK) {
    throw new FormatError(
      'safetensors.shape-invalid',
      `Tensor ${quoteName(name)} has ${shape.length} dimensions; at most ${MAX_RANK} are read.`,
    );
  }
  // The product without the zeros must fit too: whether a shape is refused cannot depend on the order
  // in which another reader multiplies.
  let count = 1;
  let empty = false;
  for (const dimension of shape) {
    if (!Number.isSafeInteger(dimension) || dimension < 0) {
      throw new FormatError(
        'safetensors.shape-invalid',
        `Tensor ${quoteName(name)} has a dimension ${dimension}; dimensions are integers in [0, 2^53).`,
      );
    }
    if (dimension === 0) empty = true;
    else if (dimension > Number.MAX_SAFE_INTEGER / 8 / count) {
      throw new FormatError(
        'safetensors.shape-overflow',
        `Tensor ${quoteName(name)} of shape [${shape.join(', ')}] has more elements than can be counted exactly.`,
      );
    } else count *= dimension;
  }
  return empty ? 0 : count;
}
