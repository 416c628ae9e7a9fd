/** What a plan's compression is asked for, and the checks of the request. */
import { ParameterError } from '../../errors.js';
import { requireBits, requireCount, requireEnergy, requirePositive, requireRatio } from './arguments.js';
import type { SizeBytes } from './bits.js';

export interface CompressionTensor {
  readonly name: string;
  /** n: values that can be sent; with rotation, after its padding. */
  readonly values: number;
  /** Sum of squares in public data: the last released update, or the adapter that the plan is made like. */
  readonly energy: number;
  /** Fixed share of the values that is sent; without it, the tensor takes part in the distribution. */
  readonly keepRatio?: number;
  /** Largest magnitude in the same data; needed when there is no rotation. */
  readonly largest?: number;
}

export interface BitRange {
  readonly min: number;
  readonly max: number;
}

export interface CompressionRequest {
  /** In the order in which everything is answered. */
  readonly tensors: readonly CompressionTensor[];
  /** Share of the values that a round sends of the tensors without a ratio of their own; `auto`: the largest that fits. */
  readonly keepRatio: number | 'auto';
  /** Bits of every value, or the widths among which each tensor gets its own, 2..8. */
  readonly bits: number | BitRange;
  /** N: clients whose updates are averaged. The errors foreseen are those of this average. */
  readonly clients: number;
  /** L2 norm to which a client clips what it sends; without it, what the steady state needs. */
  readonly clip?: number;
  /** Median norm of the clients' deltas; without it, the norm of the tensors' data. */
  readonly medianNorm?: number;
  /** Whether a randomized Hadamard rotation, with fresh signs every round, makes the coordinates Gaussian. */
  readonly rotation: boolean;
  /** Bytes of an update at most: the roster's ceiling. */
  readonly maxBytes: number;
  /** Bytes of an update to aim at, if less than `maxBytes`. */
  readonly targetBytes?: number;
  /** Limit of the relative error of one round's average; see {@link CompressionExpectation.relativeError}. */
  readonly maxRelativeError?: number;
  readonly sizeBytes: SizeBytes;
  /** A private round: one grid for all tensors, `fraction` of the clip's root mean square (0.4 by default). */
  readonly privacy?: { readonly fraction?: number };
}

/** All figures are predictions from the public energies; DP noise is not in them. */
export interface CompressionExpectation {
  /**
   * ||average - delta|| / ||delta|| when N clients all send the reference delta, one round, without feedback:
   * sqrt((unsent + clipped energy + squared rounding and saturation error) / energy).
   */
  readonly relativeError: number;
  /** The part of it that rounding and saturation make, alike relative to ||delta||. */
  readonly roundingError: number;
  /** Share of the reference's energy that a round does not send. */
  readonly unsentFraction: number;
  /** Share of the values sent that saturate in the steady state; 0 without rotation, where nothing predicts it. */
  readonly saturatedFraction: number;
  /** With error feedback, when the same delta comes every round. Not reached if {@link clipStarves}. */
  readonly steadyState: {
    /** Mean rounds until what was learned has arrived. */
    readonly roundsToArrive: number;
    /** ||residual|| / ||delta||, what waits to be sent and the rounding errors that are fed back. */
    readonly residualNormRatio: number;
    /** As `roundingError`, when coordinates have their steady-state size. */
    readonly roundingError: number;
  };
  /** The clip is so small that residuals grow without bound. Only a clip that was given can be. */
  readonly clipStarves: boolean;
}

export interface CompressionPlan {
  /** K_m: values sent of each tensor. */
  readonly keeps: readonly number[];
  /** b_m. */
  readonly bits: readonly number[];
  /** gamma_m. */
  readonly scales: readonly number[];
  readonly clip: number;
  readonly expected: CompressionExpectation;
  /** Size of an update by the callback. */
  readonly bytes: number;
}

/** `energy` and `largest` come from one computation on one tensor, up to its rounding. */
const SUM_TOLERANCE = 1e-3;

function checkLargest({ name, values, energy, largest }: CompressionTensor): void {
  if (largest === undefined) {
    throw new ParameterError(
      'plan.largest-needed',
      `Tensor ${name} has no largest magnitude, which a plan without rotation needs for its grid. Give it, or rotate.`,
    );
  }
  requireEnergy(`The largest magnitude of ${name}`, largest);
  const squared = largest ** 2 * (1 + SUM_TOLERANCE);
  if (largest ** 2 > energy * (1 + SUM_TOLERANCE) || energy > squared * values) {
    throw new ParameterError(
      'plan.argument-out-of-range',
      `Tensor ${name} cannot have the largest magnitude ${largest} and the energy ${energy} over ${values} values.`,
    );
  }
}

/** @throws ParameterError `plan.argument-out-of-range`, `plan.largest-needed`, `plan.no-energy` */
export function checkRequest(request: CompressionRequest): void {
  const { tensors, keepRatio, bits, clients, clip, medianNorm, rotation } = request;
  requireCount('The number of tensors', tensors.length);
  for (const tensor of tensors) {
    requireCount(`The number of values of ${tensor.name}`, tensor.values);
    requireEnergy(`The energy of ${tensor.name}`, tensor.energy);
    if (tensor.keepRatio !== undefined) requireRatio(`The keep ratio of ${tensor.name}`, tensor.keepRatio);
    if (!rotation) checkLargest(tensor);
  }
  requireCount('The number of clients', clients);
  if (keepRatio !== 'auto') requireRatio('The keep ratio', keepRatio);
  if (typeof bits === 'number') requireBits('The number of bits', bits);
  else {
    requireBits('The smallest number of bits', bits.min);
    requireBits('The largest number of bits', bits.max);
    if (bits.min > bits.max) {
      throw new ParameterError(
        'plan.argument-out-of-range',
        `Bits from ${bits.min} to ${bits.max} admit none; give the smaller number first.`,
      );
    }
  }
  if (clip !== undefined) requirePositive('The clip norm', clip);
  if (medianNorm !== undefined) requirePositive('The median norm', medianNorm);
  requireCount('The largest size in bytes', request.maxBytes);
  if (request.targetBytes !== undefined) requireCount('The target size in bytes', request.targetBytes);
  if (request.maxRelativeError !== undefined) requirePositive('The largest error', request.maxRelativeError);
  if (request.privacy?.fraction !== undefined) requirePositive('The fraction', request.privacy.fraction);
  const known = tensors.some(({ energy }) => energy > 0);
  if (!known && (!rotation || (clip === undefined && medianNorm === undefined))) {
    throw new ParameterError(
      'plan.no-energy',
      'Every value of the reference is zero, which says nothing about the size of an update. ' +
        'Give a clip norm or a median norm, and rotate, or plan from a trained adapter.',
    );
  }
}
