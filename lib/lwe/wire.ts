/** What the kernels need to know of a segment. */
import type { NativeSegment, NativeWireFormat } from '../native.js';
import { parameterSet } from './parameters.js';
import { MAX_NOISY_VALUE, type PlanSegment } from './plan.js';

export function wireFormat(segment: PlanSegment): NativeWireFormat {
  return {
    parameterSet: parameterSet(segment.parameterSet).nativeId,
    wireBits: segment.wireBits,
    plaintextBits: segment.plaintextBits,
    fieldBits: segment.fieldBits,
    fold: segment.fold,
    firstElement: segment.firstElement,
  };
}

export function encryptedSegment(segment: PlanSegment): NativeSegment {
  return {
    ...wireFormat(segment),
    valueCount: segment.valueCount,
    // Noise is never clamped: what of it exceeds a field wraps, in one update as in the sum.
    valueBound: segment.noiseVariance > 0 ? MAX_NOISY_VALUE : segment.valueBound,
  };
}
