/**
 * Random signs and a block-wise Hadamard transform of one tensor, which spread its energy evenly over the coordinates
 * (Ailon and Chazelle, SIAM J. Comput. 39(1), 2009), and the subsample that is sent; both are public and the same for
 * all clients of a round, so that their sums line up.
 */
import { ParameterError } from '../errors.js';
import { native } from '../native.js';

/** Blocks have at most 2^16 coordinates. */
export const MAX_BLOCK_LOG2 = 16;
/** Sixteen nonces a tensor fit 32 bits. */
export const MAX_TENSOR_INDEX = 2 ** 28 - 1;
const MAX_VALUES = 2 ** 32 - 1;
const KEY_BYTES = 32;

/** What all clients of a round share about one tensor's rotation. */
export interface Rotation {
  /** Blocks of 2^blockLog2 coordinates, 0..16; 0 leaves the coordinates as they are, without signs. */
  readonly blockLog2: number;
  /** Both 32 bytes, from the plan's seed: `signKey` and `sampleKey` of lwe/streams.ts. */
  readonly signKey: Uint8Array;
  readonly sampleKey: Uint8Array;
  /** The tensor's place in the plan, 0..2^28 - 1: what keeps the streams of tensors apart. */
  readonly tensorIndex: number;
}

export interface RotateRequest extends Rotation {
  /** n coordinates, changed in place: left rotated. */
  readonly values: Float32Array;
  /** Out: the K coordinates that are sent, 1 <= K <= n. Its own memory, or `values` itself where K = n. */
  readonly kept: Float32Array;
}

export interface RotateBackRequest extends Rotation {
  /** K levels (or sums of levels), exact as floats up to 2^24. */
  readonly levels: Int32Array;
  /** What one level stands for; taken as a float. */
  readonly scale: number;
  /** Out: n coordinates, zero where nothing was sent before they are rotated back. */
  readonly values: Float32Array;
}

/**
 * The blocks of a tensor of `valueCount` coordinates in order: as many of 2^blockLog2 as fit, then the binary digits
 * of what is left, largest first.
 *
 * @throws ParameterError `pipeline.value-count`, `pipeline.block-size`
 */
export function blockSizes(valueCount: number, blockLog2: number): number[] {
  requireCount(valueCount);
  requireBlockLog2(blockLog2);
  const sizes: number[] = [];
  let left = valueCount;
  for (let size = 2 ** blockLog2; size >= 1; size /= 2) {
    for (; left >= size; left -= size) sizes.push(size);
  }
  return sizes;
}

/**
 * Rotates a tensor and picks the coordinates that are sent (docs/protocol.md). The rotation keeps the L2 norm, up to
 * float rounding.
 *
 * @returns the sum of squares of `kept`, for the clip; not finite where any value is not
 * @throws ParameterError `pipeline.value-count`, `pipeline.kept-count`, `pipeline.block-size`,
 *   `pipeline.tensor-index`, `pipeline.stream-key`, `pipeline.shared-memory`
 */
export async function rotateAndSample(request: RotateRequest): Promise<{ readonly sumOfSquares: number }> {
  const { values, kept } = request;
  requireRotation(request, values.length, kept.length);
  const same = kept.length === values.length && kept.byteOffset === values.byteOffset;
  if (!(same && kept.buffer === values.buffer)) requireApart(kept, values);
  return native().rotateAndSample(request);
}

/**
 * The way back: `levels` times `scale` at the places that were sent, zero elsewhere, rotated back.
 *
 * @throws ParameterError `pipeline.scale`, and as {@link rotateAndSample}
 */
export async function placeAndRotateBack(request: RotateBackRequest): Promise<void> {
  const { levels, values, scale } = request;
  requireRotation(request, values.length, levels.length);
  if (!Number.isFinite(Math.fround(scale))) {
    throw new ParameterError('pipeline.scale', `The scale must be finite as a float, not ${scale}.`);
  }
  requireApart(levels, values);
  return native().placeAndRotateBack(request);
}

function requireRotation(rotation: Rotation, valueCount: number, keptCount: number): void {
  requireCount(valueCount);
  requireBlockLog2(rotation.blockLog2);
  if (keptCount < 1 || keptCount > valueCount) {
    throw new ParameterError(
      'pipeline.kept-count',
      `Of ${valueCount} coordinates 1 to ${valueCount} can be sent, not ${keptCount}.`,
    );
  }
  const { tensorIndex } = rotation;
  if (!Number.isInteger(tensorIndex) || tensorIndex < 0 || tensorIndex > MAX_TENSOR_INDEX) {
    throw new ParameterError(
      'pipeline.tensor-index',
      `A tensor's index is an integer from 0 to ${MAX_TENSOR_INDEX}, not ${tensorIndex}.`,
    );
  }
  for (const key of [rotation.signKey, rotation.sampleKey]) {
    if (key.byteLength !== KEY_BYTES) {
      throw new ParameterError(
        'pipeline.stream-key',
        `The keys of signs and subsample have ${KEY_BYTES} bytes, not ${key.byteLength}.`,
      );
    }
  }
}

function requireCount(valueCount: number): void {
  if (!Number.isInteger(valueCount) || valueCount < 1 || valueCount > MAX_VALUES) {
    throw new ParameterError(
      'pipeline.value-count',
      `A tensor has 1 to ${MAX_VALUES} coordinates, not ${valueCount}.`,
    );
  }
}

function requireBlockLog2(blockLog2: number): void {
  if (!Number.isInteger(blockLog2) || blockLog2 < 0 || blockLog2 > MAX_BLOCK_LOG2) {
    throw new ParameterError(
      'pipeline.block-size',
      `Blocks have 2^0 to 2^${MAX_BLOCK_LOG2} coordinates, not 2^${blockLog2}.`,
    );
  }
}

function requireApart(a: ArrayBufferView, b: ArrayBufferView): void {
  const apart =
    a.buffer !== b.buffer ||
    a.byteOffset + a.byteLength <= b.byteOffset ||
    b.byteOffset + b.byteLength <= a.byteOffset;
  if (!apart) {
    throw new ParameterError(
      'pipeline.shared-memory',
      'Input and output share memory; give them arrays of their own.',
    );
  }
}
