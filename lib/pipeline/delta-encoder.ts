/**
 * From a delta to the integers that are sent: rotate, subsample, clip, weigh, round (docs/protocol.md section 14).
 *
 * Which coordinates, on which grid, is public and the same for all clients of a round. What of the delta decides anything
 * is its norm alone, which scales it down to the clip.
 */
import { firstNonFinite } from '../adapter/finite-values.js';
import { weightGroup } from '../custody/weights.js';
import { FormatError } from '../errors.js';
import { sampleKey, signKey } from '../lwe/streams.js';
import type { PlanBody } from '../package/messages/plan.js';
import { WEIGHT_ONE } from '../package/messages/update.js';
import { quantize } from './quantize.js';
import { placeAndRotateBack, rotateAndSample } from './rotation.js';
import { inMessageOrder, largestTensor, type TensorPlace, tensorPlaces } from './value-layout.js';

/** Probability that this many roundings in a row exceed the bound, at 61 % each: below 2^-140. */
const MAX_ROUNDINGS = 200;

/** Reads a tensor's coordinates into `out`, which has exactly as many. */
export type ReadTensor = (place: TensorPlace, out: Float32Array) => Promise<void>;

export interface EncodeRequest {
  readonly plan: PlanBody;
  /** 32 bytes. */
  readonly planFingerprint: Uint8Array;
  /** The client's 32-byte PRF key, which hedges the randomness of rounding. */
  readonly prfKey: Uint8Array;
  /** In units of 2^-16, one for each expert of the plan, or one. A tensor whose weight is 0 is sent as zeros. */
  readonly weights: readonly number[];
  readonly readDelta: ReadTensor;
  /** What earlier rounds left over; absent for zero. */
  readonly readResidual?: ReadTensor | undefined;
}

export interface EncodedDelta {
  /** Levels without noise, in the order of the message; the caller wipes them. */
  readonly values: Int32Array;
  /** Values beyond the largest level of their width. */
  readonly saturatedValues: number;
  /** L2 norm of what was kept, before the clip. */
  readonly keptNorm: number;
  /** What everything was multiplied by to meet the clip, at most 1. */
  readonly clipFactor: number;
  /** Roundings that exceeded the sensitivity and were drawn again. */
  readonly redrawn: number;
}

export function weightOf(place: TensorPlace, weights: readonly number[]): number {
  return (weights[weightGroup(place.tensor)] as number) / WEIGHT_ONE;
}

function addTo(sum: Float32Array, values: Float32Array): void {
  for (let i = 0; i < sum.length; i += 1) sum[i] = (sum[i] as number) + (values[i] as number);
}

function requireFinite({ tensor }: TensorPlace, values: Float32Array): void {
  const at = firstNonFinite(values);
  if (at < 0) return;
  throw new FormatError(
    'pipeline.non-finite',
    `Coordinate ${at} of "${tensor.name}" is ${values[at]}; only finite values can be averaged. Training has diverged.`,
  );
}

interface Kept {
  readonly values: Float32Array;
  readonly norm: number;
}

/** The rotated coordinates that are sent, of all tensors, with their norm. */
async function keepCoordinates(request: EncodeRequest, places: readonly TensorPlace[]): Promise<Kept> {
  const { plan, planFingerprint } = request;
  const keys = {
    signKey: signKey(plan.seed, plan.parameterSet, planFingerprint),
    sampleKey: sampleKey(plan.seed, plan.parameterSet, planFingerprint),
  };
  const capacity = largestTensor(places);
  const delta = new Float32Array(capacity);
  const residual = new Float32Array(request.readResidual === undefined ? 0 : capacity);
  const values = new Float32Array(places.reduce((sum, { tensor }) => sum + tensor.kept, 0));
  let sumOfSquares = 0;
  try {
    for (const place of places) {
      const { tensor, elementCount, firstValue } = place;
      const own = delta.subarray(0, elementCount);
      await request.readDelta(place, own);
      requireFinite(place, own);
      if (weightOf(place, request.weights) === 0) continue;
      if (request.readResidual !== undefined) {
        const left = residual.subarray(0, elementCount);
        await request.readResidual(place, left);
        addTo(own, left);
      }
      const rotated = await rotateAndSample({
        ...keys,
        values: own,
        blockLog2: plan.rotationBlockLog2,
        tensorIndex: place.index,
        kept: values.subarray(firstValue, firstValue + tensor.kept),
      });
      sumOfSquares += rotated.sumOfSquares;
    }
  } catch (error) {
    values.fill(0);
    throw error;
  } finally {
    delta.fill(0);
    residual.fill(0);
  }
  if (!Number.isFinite(sumOfSquares)) {
    values.fill(0);
    throw new FormatError(
      'pipeline.non-finite',
      'The delta and what earlier rounds left over exceed the range of single precision. Training has diverged.',
    );
  }
  return { values, norm: Math.sqrt(sumOfSquares) };
}

/**
 * Encodes a delta. Tensors are read one at a time; what is held is the kept coordinates and their levels.
 *
 * Where the plan adds noise, a rounding whose norm exceeds the plan's sensitivity is drawn again, with fresh randomness:
 * the sensitivity then holds with certainty (Kairouz, Liu and Steinke 2021, conditional rounding).
 *
 * @throws FormatError `pipeline.non-finite`, `pipeline.sensitivity`
 */
export async function encodeDelta(request: EncodeRequest): Promise<EncodedDelta> {
  const { plan } = request;
  const places = tensorPlaces(plan);
  const kept = await keepCoordinates(request, places);
  const values = new Int32Array(kept.values.length);
  try {
    const clipFactor = kept.norm > plan.clip ? plan.clip / kept.norm : 1;
    const ordered = inMessageOrder(places);
    const counts = Uint32Array.from(ordered, ({ tensor }) => tensor.kept);
    const factors = Float32Array.from(
      ordered,
      (place) => (clipFactor * weightOf(place, request.weights)) / place.tensor.scale,
    );
    const limits = Uint32Array.from(ordered, ({ tensor }) => 2 ** (tensor.bits - 1) - 1);
    for (let redrawn = 0; redrawn < MAX_ROUNDINGS; redrawn += 1) {
      const { saturated, sumsOfSquares } = await quantize({
        values: kept.values,
        counts,
        factors,
        limits,
        levels: values,
        parameterSet: plan.parameterSet,
        planFingerprint: request.planFingerprint,
        prfKey: request.prfKey,
      });
      const squared = sumsOfSquares.reduce((sum, squares) => sum + squares, 0);
      if (plan.privacy !== undefined && squared > plan.privacy.l2Squared) continue;
      const saturatedValues = saturated.reduce((sum, count) => sum + count, 0);
      return { values, saturatedValues, keptNorm: kept.norm, clipFactor, redrawn };
    }
    throw new FormatError(
      'pipeline.sensitivity',
      `${MAX_ROUNDINGS} roundings in a row exceeded the plan's sensitivity: its l2Squared does not belong to its clip and ` +
        'scale. Ask the coordinator for a plan made by this version.',
    );
  } catch (error) {
    values.fill(0);
    throw error;
  } finally {
    kept.values.fill(0);
  }
}

/**
 * What of a tensor reaches the owner as this client's: the coordinates that its levels stand for, before weight and noise.
 * The delta less this is what the next round starts from.
 *
 * @param values levels of the whole message, without noise
 * @param out exactly `place.elementCount`
 */
export async function sentCoordinates(
  request: Pick<EncodeRequest, 'plan' | 'planFingerprint' | 'weights'>,
  place: TensorPlace,
  values: Int32Array,
  out: Float32Array,
): Promise<void> {
  const weight = weightOf(place, request.weights);
  if (weight === 0) out.fill(0);
  else await coordinatesOf(request, place, values, place.tensor.scale / weight, out);
}

/** Levels, or sums of them, times `scale` in a tensor's original coordinates; those not sent are zero. */
export async function coordinatesOf(
  { plan, planFingerprint }: Pick<EncodeRequest, 'plan' | 'planFingerprint'>,
  { tensor, index, firstValue }: TensorPlace,
  values: Int32Array,
  scale: number,
  out: Float32Array,
): Promise<void> {
  await placeAndRotateBack({
    levels: values.subarray(firstValue, firstValue + tensor.kept),
    scale,
    blockLog2: plan.rotationBlockLog2,
    signKey: signKey(plan.seed, plan.parameterSet, planFingerprint),
    sampleKey: sampleKey(plan.seed, plan.parameterSet, planFingerprint),
    tensorIndex: index,
    values: out,
  });
}
