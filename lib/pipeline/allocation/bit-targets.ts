/** Bits to a size target, an error target, or both, and the refusal when the two exclude each other. */
import { ParameterError } from '../../errors.js';
import { type BitAllocation, type BitProblem, cheapestBits, mostAccurateBits } from './bits.js';

export interface BitTargets {
  /** Bytes of an update at most. */
  readonly limitBytes: number;
  /** Squared norm of what is to be averaged: errors are relative to it. */
  readonly energy: number;
  /** Squared error that no choice of bits removes: what is not sent. */
  readonly otherSquaredError: number;
  /** sqrt(squared error / energy) at most. */
  readonly maxRelativeError?: number;
}

/** The error target needs more than the size target, or more than any bits give. */
export class PlanTargetError extends ParameterError {
  /** Relative error of the best allocation within the size target; `undefined` if nothing fits it. */
  readonly errorAtSizeTarget: number | undefined;
  /** Bytes of the smallest allocation that meets the error target; `undefined` if none does. */
  readonly sizeForErrorBytes: number | undefined;

  constructor(
    targets: BitTargets & { readonly maxRelativeError: number },
    errorAtSizeTarget: number | undefined,
    sizeForErrorBytes: number | undefined,
  ) {
    const atSize =
      errorAtSizeTarget === undefined
        ? `nothing fits ${targets.limitBytes} bytes`
        : `${targets.limitBytes} bytes give an error of ${errorAtSizeTarget.toPrecision(3)}`;
    const unsent = Math.sqrt(targets.otherSquaredError / targets.energy);
    const atError =
      sizeForErrorBytes !== undefined
        ? `that error needs ${sizeForErrorBytes} bytes. Allow more bytes or a larger error`
        : unsent >= targets.maxRelativeError
          ? `what is not sent or clipped off alone makes an error of ${unsent.toPrecision(3)}. Keep more values, or allow a larger error`
          : 'no admitted number of bits reaches that error. Allow more bits, keep more values, or allow a larger error';
    super(
      'plan.error-target',
      `A relative error of ${targets.maxRelativeError} is out of reach: ${atSize}, and ${atError}.`,
    );
    this.errorAtSizeTarget = errorAtSizeTarget;
    this.sizeForErrorBytes = sizeForErrorBytes;
  }
}

/** @throws ParameterError `plan.size-target`, always */
export function refuseSize(limitBytes: number, sizeBytes: number, remedy: string): never {
  throw new ParameterError(
    'plan.size-target',
    `An update may take ${limitBytes} bytes, and the smallest that the request admits takes ${sizeBytes}. ${remedy}`,
  );
}

/**
 * Without an error target, the most accurate allocation within the limit; with one, the cheapest that meets it.
 *
 * @throws PlanTargetError `plan.error-target`
 * @throws ParameterError `plan.size-target`, `plan.argument-out-of-range`
 */
export function allocateBits(problem: BitProblem, targets: BitTargets): BitAllocation {
  const { limitBytes, energy, otherSquaredError, maxRelativeError } = targets;
  if (maxRelativeError === undefined) {
    const best = mostAccurateBits(problem, limitBytes);
    if (best) return best;
    const smallest = cheapestBits(problem, Number.POSITIVE_INFINITY) as BitAllocation;
    return refuseSize(
      limitBytes,
      smallest.sizeBytes,
      'Allow more bytes, keep fewer values, or admit fewer bits.',
    );
  }
  const cheapest = cheapestBits(problem, maxRelativeError ** 2 * energy - otherSquaredError);
  if (cheapest && cheapest.sizeBytes <= limitBytes) return cheapest;
  const best = mostAccurateBits(problem, limitBytes);
  throw new PlanTargetError(
    { ...targets, maxRelativeError },
    best && Math.sqrt((best.squaredError + otherSquaredError) / energy),
    cheapest?.sizeBytes,
  );
}
