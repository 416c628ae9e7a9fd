/** The public data that a plan starts from, made complete: energies and peaks of tensors that are zero, the norm of a delta. */
import { CLIP_HEADROOM, recommendedClip, steadyState } from './clip.js';
import type { CompressionRequest, CompressionTensor } from './compression-request.js';
import type { SentReference } from './expectation.js';
import { referenceEnergies } from './keep-ratios.js';

/** The request's tensors with what is known of them. */
export interface Reference {
  readonly request: CompressionRequest;
  /** Zero energies replaced. */
  readonly energies: readonly number[];
  /** Largest magnitude over root mean square; without rotation only. */
  readonly peaks: readonly number[];
  readonly widths: readonly number[];
  readonly limitBytes: number;
}

export function referenceOf(request: CompressionRequest): Reference {
  const { tensors, bits, rotation, maxBytes, targetBytes = maxBytes } = request;
  const { min, max } = typeof bits === 'number' ? { min: bits, max: bits } : bits;
  const peakOf = ({ largest = 0, energy, values }: CompressionTensor): number =>
    energy > 0 ? largest / Math.sqrt(energy / values) : 0;
  // A tensor that is all zero may turn out as peaked as the most peaked of the others.
  const highest = rotation ? 0 : tensors.reduce((peak, tensor) => Math.max(peak, peakOf(tensor)), 0);
  return {
    request,
    energies: referenceEnergies(tensors),
    peaks: rotation ? [] : tensors.map((tensor) => peakOf(tensor) || highest),
    widths: Array.from({ length: max - min + 1 }, (_, i) => min + i),
    limitBytes: Math.min(maxBytes, targetBytes),
  };
}

export type KeptTensors = SentReference['tensors'];

/** The tensors at these counts, with energies of the reference's own scale. */
export function kept({ request, energies }: Reference, counts: readonly number[]): KeptTensors {
  return request.tensors.map(({ values }, m) => {
    const count = counts[m] as number;
    return { values, count, keepRatio: count / values, energy: energies[m] as number };
  });
}

/** The reference delta at the size of a client's, and the clip for it. */
export function sentReference(reference: Reference, counts: readonly number[]): SentReference {
  const { request } = reference;
  const tensors = kept(reference, counts);
  const total = tensors.reduce((sum, { energy }) => sum + energy, 0);
  const measured = request.tensors.some(({ energy }) => energy > 0) ? Math.sqrt(total) : undefined;
  let norm = request.medianNorm ?? measured;
  // Nothing but a clip is known: the delta is the one for which it would be recommended.
  norm ??= (request.clip as number) / (CLIP_HEADROOM * steadyState(tensors).sentNormRatio);
  return {
    tensors: tensors.map((tensor) => ({
      ...tensor,
      energy: (tensor.energy / total) * (norm as number) ** 2,
    })),
    clip: request.clip ?? recommendedClip(norm, tensors),
    clients: request.clients,
    rotation: request.rotation,
  };
}

/** Values that a round sends over all tensors. */
export function sentDimension(tensors: KeptTensors): number {
  return tensors.reduce((sum, { count }) => sum + count, 0);
}

/** The callback's size of these tensors at these widths. */
export function sizeOf(request: CompressionRequest, tensors: KeptTensors, bits: readonly number[]): number {
  const totals = new Map<number, number>();
  for (const [m, { count }] of tensors.entries()) {
    const width = bits[m] as number;
    totals.set(width, (totals.get(width) ?? 0) + count);
  }
  return request.sizeBytes(new Map([...totals].sort(([a], [b]) => a - b)));
}
