/** What the kernels need to know of a plan. */
import type { NativeWireFormat } from '../native.js';
import { parameterSet } from './parameters.js';
import type { PlanArithmetic } from './plan.js';

export function wireFormat(plan: PlanArithmetic): NativeWireFormat {
  return {
    parameterSet: parameterSet(plan.parameterSet).nativeId,
    wireBits: plan.wireBits,
    plaintextBits: plan.plaintextBits,
    fieldBits: plan.fieldBits,
    fold: plan.fold,
  };
}
