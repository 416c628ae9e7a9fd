/** Sums of packed ciphertexts: what the aggregator does, and all it can do. */
import { native, threadCount } from '../native.js';
import { parameterSet } from './parameters.js';
import type { PlanArithmetic } from './plan.js';

/**
 * sum = componentwise sum mod 2^k of the inputs, segment by segment (docs/protocol.md section 5). Every buffer has plan.ciphertextBytes
 * bytes and begins on a 4-byte boundary; the first input may be `sum` itself, no other may overlap it.
 */
export async function addCiphertexts(
  plan: PlanArithmetic,
  inputs: readonly Uint8Array[],
  sum: Uint8Array,
  threads?: number,
): Promise<void> {
  const set = parameterSet(plan.parameterSet);
  for (const { wireBits, ringElements, offsetBytes, ciphertextBytes } of plan.segments) {
    const part = (whole: Uint8Array): Uint8Array =>
      whole.subarray(offsetBytes, offsetBytes + ciphertextBytes);
    await native().sum({
      parameterSet: set.nativeId,
      wireBits,
      ringElements,
      inputs: inputs.map(part),
      sum: part(sum),
      threads: threadCount(threads),
    });
  }
}
