/** What a plan's choices do to an update: predicted errors, tensor by tensor. */
import { CLIP_HEADROOM, clipStarves, starvingClip, steadyState } from './clip.js';
import type { CompressionExpectation } from './compression-request.js';
import {
  gaussianQuantizationError,
  largestRoundingVariance,
  type QuantizationError,
  topLevel,
} from './rounding-error.js';
import { coordinateRms, type GridTensor } from './scales.js';

/** The reference delta as a round sends it. */
export interface SentReference {
  /** Energies scaled such that they sum to the squared norm of a client's delta; ratios those of the counts. */
  readonly tensors: readonly (GridTensor & { readonly values: number })[];
  readonly clip: number;
  readonly clients: number;
  readonly rotation: boolean;
}

/** Root mean squares of each tensor's kept coordinates, before quantization. */
export interface CoordinateSizes {
  /** In an update that fills the clip: what the grid is made for. */
  readonly atClip: readonly number[];
  /** In the steady state of error feedback. */
  readonly steady: readonly number[];
  /** In the first round. */
  readonly first: readonly number[];
}

export function deltaEnergy({ tensors }: SentReference): number {
  return tensors.reduce((sum, { energy }) => sum + energy, 0);
}

/** The factor by which the first round is clipped; 1 under any clip that the steady state fits. */
function firstClipFactor({ tensors, clip }: SentReference): number {
  const sent = tensors.reduce((sum, { energy, keepRatio }) => sum + energy * keepRatio, 0);
  return Math.min(1, clip / Math.sqrt(sent));
}

export function coordinateSizes(sent: SentReference): CoordinateSizes {
  const { tensors, clip } = sent;
  const atClip = coordinateRms(clip, tensors);
  const fill = (Math.sqrt(deltaEnergy(sent)) * steadyState(tensors).sentNormRatio) / clip;
  // The recommended clip is met exactly, whatever the last bits say: tensors then share one ratio of size to grid.
  const steadyFill = Math.abs(fill * CLIP_HEADROOM - 1) < 1e-9 ? 1 / CLIP_HEADROOM : Math.min(1, fill);
  const factor = firstClipFactor(sent);
  return {
    atClip,
    steady: atClip.map((rms) => rms * steadyFill),
    first: tensors.map(({ energy, values }) => factor * Math.sqrt(energy / values)),
  };
}

function coordinateError(sent: SentReference, sigma: number, bits: number): QuantizationError {
  if (sent.rotation) return gaussianQuantizationError(sigma, topLevel(bits));
  return { rounding: largestRoundingVariance(sigma), saturation: 0, saturatedFraction: 0 };
}

/**
 * Squared error of one tensor in the average of N clients: K gamma^2 (rounding / N + saturation).
 *
 * @param size root mean square of the tensor's coordinates
 */
export function averageError(
  sent: SentReference,
  tensor: number,
  size: number,
  bits: number,
  scale: number,
): number {
  const { rounding, saturation } = coordinateError(sent, size / scale, bits);
  const { count } = sent.tensors[tensor] as GridTensor;
  return count * scale ** 2 * (rounding / sent.clients + saturation);
}

/** Energy of the reference that its first round does not deliver, by choice and by clipping. */
export function undeliveredEnergy(sent: SentReference): number {
  const clipped = 1 - firstClipFactor(sent);
  return sent.tensors.reduce(
    (sum, { energy, keepRatio }) => sum + energy * (1 - keepRatio + clipped ** 2 * keepRatio),
    0,
  );
}

export function expectation(
  sent: SentReference,
  bits: readonly number[],
  scales: readonly number[],
): CompressionExpectation {
  const { tensors, clip } = sent;
  const energy = deltaEnergy(sent);
  const sizes = coordinateSizes(sent);
  const errorAt = (size: readonly number[]): number =>
    tensors.reduce(
      (sum, _, m) => sum + averageError(sent, m, size[m] as number, bits[m] as number, scales[m] as number),
      0,
    );
  let saturated = 0;
  let count = 0;
  for (const [m, tensor] of tensors.entries()) {
    const sigma = (sizes.steady[m] as number) / (scales[m] as number);
    saturated += tensor.count * coordinateError(sent, sigma, bits[m] as number).saturatedFraction;
    count += tensor.count;
  }
  const rounding = errorAt(sizes.first);
  // Every coordinate, sent or not, still holds the rounding error of the last time that it was sent.
  const heldRounding = tensors.reduce((sum, { values }, m) => {
    const scale = scales[m] as number;
    const { rounding: variance } = coordinateError(
      sent,
      (sizes.steady[m] as number) / scale,
      bits[m] as number,
    );
    return sum + values * scale ** 2 * variance;
  }, 0);
  const steady = steadyState(tensors);
  const unsent = tensors.reduce((sum, tensor) => sum + tensor.energy * (1 - tensor.keepRatio), 0);
  const norm = Math.sqrt(energy);
  return {
    relativeError: Math.sqrt((undeliveredEnergy(sent) + rounding) / energy),
    roundingError: Math.sqrt(rounding / energy),
    unsentFraction: unsent / energy,
    saturatedFraction: saturated / count,
    steadyState: {
      roundsToArrive: steady.roundsToArrive,
      residualNormRatio: Math.sqrt(steady.residualNormRatio ** 2 + heldRounding / energy),
      roundingError: Math.sqrt(errorAt(sizes.steady) / energy),
    },
    // A clip of just the norm that is needed, but for the last bits, is not called starving.
    clipStarves: clipStarves(clip, norm, tensors) && clip < starvingClip(norm, tensors) * (1 - 1e-9),
  };
}
