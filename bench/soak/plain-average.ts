/**
 * Whether the opened average is the plain one. The levels that went in are known, so every opened sum must be theirs, exactly:
 * there is no rounding that could hide a lost or a doubled update.
 */
import { loadPeftAdapter } from '../../lib/adapter/peft.js';
import type { TrustedPlan } from '../../lib/custody/trusted-plan.js';
import { sampleKey, signKey } from '../../lib/lwe/streams.js';
import { rotateAndSample } from '../../lib/pipeline/rotation.js';
import { tensorPlaces } from '../../lib/pipeline/value-layout.js';

/** The opened adapter is single precision, and is rotated once more here; a level is some ten thousand times larger. */
const TOLERANCE_LEVELS = 0.1;

export interface AverageCheck {
  /** Sums that were compared. */
  readonly values: number;
  readonly wrong: number;
}

/** @param average directory of the opened adapter; `contributors` of them: @param levels of each update in it, one at a time */
export async function compareWithPlainAverage(
  plan: TrustedPlan,
  average: string,
  levels: Iterable<Int32Array>,
): Promise<AverageCheck> {
  const { body, fingerprint, arithmetic } = plan;
  const sums = new Int32Array(arithmetic.valueCount);
  let contributors = 0;
  for (const each of levels) {
    contributors += 1;
    for (let i = 0; i < sums.length; i += 1) sums[i] = (sums[i] as number) + (each[i] as number);
  }
  const keys = {
    signKey: signKey(body.seed, body.parameterSet, fingerprint),
    sampleKey: sampleKey(body.seed, body.parameterSet, fingerprint),
  };
  const { tensors } = await loadPeftAdapter(average);
  let wrong = 0;
  try {
    for (const { tensor, index, elementCount, firstValue } of tensorPlaces(body)) {
      const values = new Float32Array(elementCount);
      await tensors.readTensor(tensor.name, values);
      const kept = tensor.kept === elementCount ? values : new Float32Array(tensor.kept);
      const rotation = { ...keys, blockLog2: body.rotationBlockLog2, tensorIndex: index };
      await rotateAndSample({ ...rotation, values, kept });
      for (const [i, mean] of kept.entries()) {
        const sum = (mean * contributors) / tensor.scale;
        if (!(Math.abs(sum - (sums[firstValue + i] as number)) <= TOLERANCE_LEVELS)) wrong += 1;
      }
    }
  } finally {
    await tensors.close();
  }
  return { values: sums.length, wrong };
}
