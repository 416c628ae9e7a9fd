/** Where a tensor's values lie in a message (docs/protocol.md section 14). */
import { countElements } from '../adapter/tensor-info.js';
import type { PlanBody, PlanTensor } from '../package/messages/plan.js';

/** A tensor in its place. */
export interface TensorPlace {
  readonly tensor: PlanTensor;
  /** Its index in the plan's `tensors`, which numbers its public streams. */
  readonly index: number;
  /** Coordinates that it has, of which `tensor.kept` are sent. */
  readonly elementCount: number;
  /** Index of its first coordinate among those of all sent tensors, in the plan's order. */
  readonly firstElement: number;
  /** Index of its first value in the message: widths ascend, and tensors of one width keep the plan's order. */
  readonly firstValue: number;
}

/** The places in the order of the plan's tensors. */
export function tensorPlaces(plan: Pick<PlanBody, 'tensors'>): TensorPlace[] {
  const firstValues = new Array<number>(plan.tensors.length);
  const byBits = plan.tensors.map((_, index) => index);
  byBits.sort((a, b) => (plan.tensors[a] as PlanTensor).bits - (plan.tensors[b] as PlanTensor).bits || a - b);
  let values = 0;
  for (const index of byBits) {
    firstValues[index] = values;
    values += (plan.tensors[index] as PlanTensor).kept;
  }
  let elements = 0;
  return plan.tensors.map((tensor, index) => {
    const elementCount = countElements(tensor.name, tensor.shape);
    const place = {
      tensor,
      index,
      elementCount,
      firstElement: elements,
      firstValue: firstValues[index] as number,
    };
    elements += elementCount;
    return place;
  });
}

/** The same places in the order of the message. */
export function inMessageOrder(places: readonly TensorPlace[]): TensorPlace[] {
  return [...places].sort((a, b) => a.firstValue - b.firstValue);
}

/** Coordinates of the largest tensor: what a buffer for one tensor needs. */
export function largestTensor(places: readonly TensorPlace[]): number {
  return places.reduce((largest, { elementCount }) => Math.max(largest, elementCount), 0);
}

/** Coordinates of all sent tensors. */
export function sentElements(places: readonly TensorPlace[]): number {
  return places.reduce((sum, { elementCount }) => sum + elementCount, 0);
}
