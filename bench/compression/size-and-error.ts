/** Bytes a parameter against error, over bits, keep ratios, and with and without rotation. */
import { clientDeltas, plainAverage } from './client-deltas.js';
import { measuredPlan } from './measured-plan.js';
import { measureRound, type RoundError } from './one-round.js';
import { parameterCount, type Subject } from './subjects.js';

export const CLIENTS = 16;
export const BITS = [8, 6, 4, 2] as const;
export const KEEP_RATIOS = [1, 0.5, 0.1, 0.01] as const;

export interface SizeAndError {
  readonly keepRatio: number;
  readonly bits: number;
  readonly rotation: boolean;
  readonly bytesPerParameter: number;
  /** Means over the repetitions. */
  readonly mean: RoundError;
  /** Largest less smallest relative error of the repetitions, over their mean. */
  readonly spread: number;
  /** Relative error that the planner predicts from public energies. */
  readonly predicted: number;
}

export interface SizeAndErrorRequest {
  readonly seed: string;
  /** Rounds of each kind, each with another subsample and other randomness. */
  readonly repetitions: number;
  readonly clients?: number;
  readonly bits?: readonly number[];
  readonly keepRatios?: readonly number[];
}

function meanOf(errors: readonly RoundError[], pick: (error: RoundError) => number): number {
  return errors.reduce((sum, error) => sum + pick(error), 0) / errors.length;
}

export async function measureSizeAndError(
  { tensors }: Pick<Subject, 'tensors'>,
  request: SizeAndErrorRequest,
): Promise<SizeAndError[]> {
  const { seed, repetitions, clients = CLIENTS, bits = BITS, keepRatios = KEEP_RATIOS } = request;
  const deltas = clientDeltas(tensors, clients, seed);
  const average = plainAverage(deltas);
  const parameters = parameterCount({ tensors });
  const rows: SizeAndError[] = [];
  for (const keepRatio of keepRatios) {
    for (const width of bits) {
      for (const rotation of [true, false]) {
        const errors: RoundError[] = [];
        const planFor = (repetition: number) =>
          measuredPlan(tensors, { keepRatio, bits: width, rotation, clients }, `${seed} ${repetition}`);
        for (let repetition = 0; repetition < repetitions; repetition += 1) {
          errors.push(await measureRound(planFor(repetition), deltas, average, seed));
        }
        const relative = errors.map(({ relativeError }) => relativeError);
        const mean = {
          relativeError: meanOf(errors, (error) => error.relativeError),
          sentError: meanOf(errors, (error) => error.sentError),
          saturatedFraction: meanOf(errors, (error) => error.saturatedFraction),
        };
        const { sealedBytes, expected } = planFor(0);
        rows.push({
          keepRatio,
          bits: width,
          rotation,
          bytesPerParameter: sealedBytes / parameters,
          mean,
          spread: (Math.max(...relative) - Math.min(...relative)) / mean.relativeError,
          predicted: expected.relativeError,
        });
      }
    }
  }
  return rows;
}
