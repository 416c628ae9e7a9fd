/** The error of one round: what its clients' levels add up to, decoded, against the plain average of their deltas. */
import { sampleKey, signKey } from '../../lib/lwe/streams.js';
import { WEIGHT_ONE } from '../../lib/package/messages/update.js';
import { coordinatesOf, encodeDelta } from '../../lib/pipeline/delta-encoder.js';
import { rotateAndSample } from '../../lib/pipeline/rotation.js';
import { type TensorPlace, tensorPlaces } from '../../lib/pipeline/value-layout.js';
import { type MeasuredPlan, seededBytes } from './measured-plan.js';

export interface RoundError {
  /** ||decoded - average|| / ||average||. */
  readonly relativeError: number;
  /** The part of it in the coordinates that were sent: rounding and clamping. */
  readonly sentError: number;
  /** Values beyond the largest level, of all that all clients sent. */
  readonly saturatedFraction: number;
}

/** The levels of one client added to `sum`; returns how many saturated. */
export async function addEncoded(
  plan: MeasuredPlan,
  delta: readonly Float32Array[],
  prfKey: Uint8Array,
  sum: Int32Array,
): Promise<number> {
  const { values, saturatedValues } = await encodeDelta({
    plan: plan.body,
    planFingerprint: plan.fingerprint,
    prfKey,
    weights: [WEIGHT_ONE],
    readDelta: async ({ index }, out) => out.set(delta[index] as Float32Array),
  });
  for (let i = 0; i < sum.length; i += 1) sum[i] = (sum[i] as number) + (values[i] as number);
  return saturatedValues;
}

/** Squared error of the sums of levels against the average, in the rotated coordinates that are sent. */
async function sentSquaredError(
  plan: MeasuredPlan,
  { tensor, index, firstValue }: TensorPlace,
  average: Float64Array,
  sum: Int32Array,
  step: number,
): Promise<number> {
  const { seed, parameterSet, rotationBlockLog2 } = plan.body;
  const kept = new Float32Array(tensor.kept);
  await rotateAndSample({
    values: Float32Array.from(average),
    kept,
    blockLog2: rotationBlockLog2,
    signKey: signKey(seed, parameterSet, plan.fingerprint),
    sampleKey: sampleKey(seed, parameterSet, plan.fingerprint),
    tensorIndex: index,
  });
  let squared = 0;
  for (let i = 0; i < kept.length; i += 1) {
    squared += ((sum[firstValue + i] as number) * step - (kept[i] as number)) ** 2;
  }
  return squared;
}

/**
 * Encodes every client's delta, adds the levels, decodes the sum: all of a round but its encryption, which is exact.
 *
 * @param deltas [client][tensor]
 * @param average of the deltas, one array a tensor
 */
export async function measureRound(
  plan: MeasuredPlan,
  deltas: readonly (readonly Float32Array[])[],
  average: readonly Float64Array[],
  seed: string,
): Promise<RoundError> {
  const sum = new Int32Array(plan.arithmetic.valueCount);
  let saturated = 0;
  for (const [i, delta] of deltas.entries()) {
    saturated += await addEncoded(plan, delta, seededBytes(seed, 'prf key', i), sum);
  }
  let energy = 0;
  let squaredError = 0;
  let sentSquared = 0;
  for (const place of tensorPlaces(plan.body)) {
    const plain = average[place.index] as Float64Array;
    const decoded = new Float32Array(place.elementCount);
    const step = place.tensor.scale / deltas.length;
    await coordinatesOf({ plan: plan.body, planFingerprint: plan.fingerprint }, place, sum, step, decoded);
    for (let i = 0; i < decoded.length; i += 1) {
      energy += (plain[i] as number) ** 2;
      squaredError += ((decoded[i] as number) - (plain[i] as number)) ** 2;
    }
    sentSquared += await sentSquaredError(plan, place, plain, sum, step);
  }
  return {
    relativeError: Math.sqrt(squaredError / energy),
    sentError: Math.sqrt(sentSquared / energy),
    saturatedFraction: saturated / (sum.length * deltas.length),
  };
}
