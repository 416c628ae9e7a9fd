/** The order of a segment's values (docs/protocol.md section 4). */
import { parameterSet } from './parameters.js';
import { CHUNK_LANES, type SegmentArithmetic } from './plan.js';

/** The numbers that fix where a value lies; a {@link SegmentArithmetic} is one. */
export type LayoutPlan = Pick<SegmentArithmetic, 'parameterSet' | 'fold' | 'ringElements'>;

/** Where a value lies in the ciphertext (docs/protocol.md section 4). */
export interface ValuePosition {
  readonly chunk: number;
  /** Field of the coefficient, 0 the lowest. */
  readonly field: number;
  /** Coefficient of the ring element, 0..n-1. */
  readonly coefficient: number;
  /** Ring element inside the chunk; the element's index is chunk * 8 + lane. */
  readonly lane: number;
}

/** Ring elements of a chunk: 8, or what the last one needs. */
export function chunkLanes(plan: LayoutPlan, chunk: number): number {
  return Math.min(CHUNK_LANES, plan.ringElements - chunk * CHUNK_LANES);
}

/** The position of value `index`, 0 <= index < ringElements * n * fold. */
export function valuePosition(plan: LayoutPlan, index: number): ValuePosition {
  const { n } = parameterSet(plan.parameterSet);
  const chunkValues = plan.fold * n * CHUNK_LANES;
  const chunk = Math.floor(index / chunkValues);
  const lanes = chunkLanes(plan, chunk);
  const inChunk = index - chunk * chunkValues;
  const field = Math.floor(inChunk / (n * lanes));
  const inField = inChunk - field * n * lanes;
  return { chunk, field, coefficient: Math.floor(inField / lanes), lane: inField % lanes };
}

/** The index of the value at a position: the inverse of {@link valuePosition}. */
export function valueIndex(plan: LayoutPlan, position: ValuePosition): number {
  const { n } = parameterSet(plan.parameterSet);
  const lanes = chunkLanes(plan, position.chunk);
  return (
    position.chunk * plan.fold * n * CHUNK_LANES +
    (position.field * n + position.coefficient) * lanes +
    position.lane
  );
}
