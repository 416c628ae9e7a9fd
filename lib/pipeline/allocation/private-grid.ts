/**
 * Bits of a private round. Its one grid (scales.ts) leaves no choice: a tensor needs the bits that its range takes
 * on it.
 */
import { ParameterError } from '../../errors.js';
import { PlanTargetError, refuseSize } from './bit-targets.js';
import { deltaEnergy, expectation, type SentReference, undeliveredEnergy } from './expectation.js';
import { type KeptTensors, type Reference, sentDimension, sizeOf } from './reference.js';
import {
  bitsToReach,
  commonScale,
  coordinateRms,
  LEAST_RANGE,
  PRIVATE_FRACTION,
  peakRange,
} from './scales.js';

/** The fraction of the clip's root mean square that the request's grid is. */
function fractionOf({ request }: Reference): number {
  return request.privacy?.fraction ?? PRIVATE_FRACTION;
}

/** gamma of a private round. */
export function privateScale(reference: Reference, tensors: KeptTensors, clip: number): number {
  return commonScale({ clip, dimension: sentDimension(tensors), fraction: fractionOf(reference) }).scale;
}

/** Bits of each tensor of a private round, before any limit: the proportions of clip and grid are all that counts. */
function privateBits(reference: Reference, tensors: KeptTensors): number[] {
  const { request, peaks } = reference;
  const scale = privateScale(reference, tensors, 1);
  return coordinateRms(1, tensors).map((rms, m) => {
    const range = request.rotation ? LEAST_RANGE : peakRange(peaks[m] as number, 1);
    return bitsToReach(range * rms, scale);
  });
}

/** The narrowest widths that the request admits at these counts. */
export function narrowestBits(reference: Reference, tensors: KeptTensors): number[] {
  const { widths, request } = reference;
  const [min, max] = [widths[0] as number, widths.at(-1) as number];
  if (!request.privacy) return tensors.map(() => min);
  return privateBits(reference, tensors).map((bits) => Math.min(max, Math.max(min, bits)));
}

function requirePrivateReach(reference: Reference, tensors: KeptTensors): void {
  const max = reference.widths.at(-1) as number;
  const needed = privateBits(reference, tensors);
  const widest = needed.reduce((worst, bits, m) => (bits > (needed[worst] as number) ? m : worst), 0);
  const bits = needed[widest] as number;
  if (bits <= max) return;
  throw new ParameterError(
    'plan.private-range',
    `On the one grid of a private round, the coordinates of ${reference.request.tensors[widest]?.name} need ${bits} bits, and ` +
      `${max} are admitted. Admit more bits: training.bits, or --bits 8.`,
  );
}

/**
 * Bits and size of a private round.
 *
 * @throws ParameterError `plan.private-range`, `plan.size-target`
 * @throws PlanTargetError `plan.error-target`
 */
export function choosePrivateBits(
  reference: Reference,
  sent: SentReference,
): { bits: readonly number[]; bytes: number } {
  const { request, limitBytes } = reference;
  requirePrivateReach(reference, sent.tensors);
  const bits = narrowestBits(reference, sent.tensors);
  const bytes = sizeOf(request, sent.tensors, bits);
  if (bytes > limitBytes)
    refuseSize(limitBytes, bytes, 'Allow more bytes, keep fewer values, or coarsen the grid.');
  const { maxRelativeError } = request;
  if (maxRelativeError !== undefined) {
    const scale = privateScale(reference, sent.tensors, sent.clip);
    const { relativeError } = expectation(
      sent,
      bits,
      bits.map(() => scale),
    );
    if (relativeError > maxRelativeError) {
      const [energy, otherSquaredError] = [deltaEnergy(sent), undeliveredEnergy(sent)];
      throw new PlanTargetError(
        { limitBytes, energy, otherSquaredError, maxRelativeError },
        relativeError,
        undefined,
      );
    }
  }
  return { bits, bytes };
}
