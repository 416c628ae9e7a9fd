/** Error feedback over many rounds: what waits in the residual, and how far the averages lag behind the truth. */
import { WEIGHT_ONE } from '../../lib/package/messages/update.js';
import { coordinatesOf, encodeDelta, sentCoordinates } from '../../lib/pipeline/delta-encoder.js';
import { sentElements, type TensorPlace, tensorPlaces } from '../../lib/pipeline/value-layout.js';
import { emptyDeltas, perturbDelta } from './client-deltas.js';
import { forRound, type MeasuredPlan, measuredPlan, seededBytes } from './measured-plan.js';
import { type SubjectTensor, sumOfSquares } from './subjects.js';

/** The recommended clip; a clip at the delta's own norm, which starves; the recommended one without feedback. */
export type FeedbackVariant = 'recommended clip' | "clip at the delta's norm" | 'no feedback';

export const FEEDBACK_VARIANTS: readonly FeedbackVariant[] = [
  'recommended clip',
  "clip at the delta's norm",
  'no feedback',
];

export interface FeedbackRequest {
  readonly tensors: readonly SubjectTensor[];
  readonly keepRatio: number;
  readonly bits: number;
  readonly clients: number;
  readonly rounds: number;
  readonly seed: string;
  /** All of them unless told. */
  readonly variants?: readonly FeedbackVariant[];
}

export interface FeedbackPoint {
  readonly round: number;
  /** Mean norm of the clients' residuals, in norms of the common delta. */
  readonly residualNorm: number;
  /** ||sum of averages - sum of plain averages|| / ||sum of plain averages||, over all rounds so far. */
  readonly distance: number;
}

export interface FeedbackRun {
  readonly variant: FeedbackVariant;
  /** In norms of the common delta. */
  readonly clip: number;
  readonly points: readonly FeedbackPoint[];
}

interface Running {
  readonly variant: FeedbackVariant;
  readonly plan: MeasuredPlan;
  /** One a client, all tensors back to back; stays zero without feedback. */
  readonly residuals: readonly Float32Array[];
  /** Sum of the decoded averages. */
  readonly arrived: Float64Array;
  readonly points: FeedbackPoint[];
}

const WEIGHTS = [WEIGHT_ONE];

function part(values: Float32Array, { firstElement, elementCount }: TensorPlace): Float32Array {
  return values.subarray(firstElement, firstElement + elementCount);
}

/** What a client sends of delta and residual; the residual becomes what is left. */
async function sendOnce(
  plan: MeasuredPlan,
  delta: readonly Float32Array[],
  residual: Float32Array | undefined,
  prfKey: Uint8Array,
): Promise<Int32Array> {
  const names = { plan: plan.body, planFingerprint: plan.fingerprint, weights: WEIGHTS };
  const { values } = await encodeDelta({
    ...names,
    prfKey,
    readDelta: async ({ index }, out) => out.set(delta[index] as Float32Array),
    ...(residual !== undefined && {
      readResidual: async (place: TensorPlace, out: Float32Array) => out.set(part(residual, place)),
    }),
  });
  for (const place of residual === undefined ? [] : tensorPlaces(plan.body)) {
    const sent = new Float32Array(place.elementCount);
    await sentCoordinates(names, place, values, sent);
    const left = part(residual as Float32Array, place);
    const added = delta[place.index] as Float32Array;
    for (let i = 0; i < left.length; i += 1) {
      left[i] = (left[i] as number) + (added[i] as number) - (sent[i] as number);
    }
  }
  return values;
}

async function runRound(
  running: Running,
  round: number,
  deltas: readonly (readonly Float32Array[])[],
  seed: string,
): Promise<void> {
  const plan = forRound(running.plan, round, seed);
  const sum = new Int32Array(plan.arithmetic.valueCount);
  for (const [i, delta] of deltas.entries()) {
    const residual = running.variant === 'no feedback' ? undefined : running.residuals[i];
    const values = await sendOnce(plan, delta, residual, seededBytes(seed, 'prf key', i));
    for (let k = 0; k < sum.length; k += 1) sum[k] = (sum[k] as number) + (values[k] as number);
  }
  for (const place of tensorPlaces(plan.body)) {
    const decoded = new Float32Array(place.elementCount);
    const step = place.tensor.scale / deltas.length;
    await coordinatesOf({ plan: plan.body, planFingerprint: plan.fingerprint }, place, sum, step, decoded);
    for (let i = 0; i < decoded.length; i += 1) {
      const at = place.firstElement + i;
      running.arrived[at] = (running.arrived[at] as number) + (decoded[i] as number);
    }
  }
}

function pointOf(running: Running, round: number, truth: Float64Array): FeedbackPoint {
  let energy = 0;
  let squared = 0;
  for (let i = 0; i < truth.length; i += 1) {
    energy += (truth[i] as number) ** 2;
    squared += ((running.arrived[i] as number) - (truth[i] as number)) ** 2;
  }
  const norms = running.residuals.map((residual) => Math.sqrt(sumOfSquares(residual)));
  const mean = norms.reduce((a, b) => a + b, 0) / norms.length;
  return { round, residualNorm: mean / running.plan.referenceNorm, distance: Math.sqrt(squared / energy) };
}

function begin(request: FeedbackRequest, variant: FeedbackVariant): Running {
  const { tensors, keepRatio, bits, clients, seed } = request;
  const choice = { keepRatio, bits, clients, rotation: true };
  const recommended = measuredPlan(tensors, choice, seed);
  const plan =
    variant === "clip at the delta's norm"
      ? measuredPlan(tensors, { ...choice, clip: recommended.referenceNorm }, seed)
      : recommended;
  const elements = sentElements(tensorPlaces(plan.body));
  return {
    variant,
    plan,
    residuals: Array.from({ length: clients }, () => new Float32Array(elements)),
    arrived: new Float64Array(elements),
    points: [],
  };
}

/** Every round each client has the common delta with a new perturbation; all variants see the same ones. */
export async function measureFeedback(request: FeedbackRequest): Promise<FeedbackRun[]> {
  const { tensors, clients, rounds, seed } = request;
  const variants = (request.variants ?? FEEDBACK_VARIANTS).map((variant) => begin(request, variant));
  const [first] = variants as [Running, ...Running[]];
  const places = tensorPlaces(first.plan.body);
  const truth = new Float64Array(first.arrived.length);
  const deltas = emptyDeltas(tensors, clients);
  for (let round = 1; round <= rounds; round += 1) {
    for (const [i, delta] of deltas.entries()) {
      perturbDelta(tensors, delta, seed, `round ${round} client ${i}`);
      for (const { index, firstElement } of places) {
        const values = delta[index] as Float32Array;
        for (let k = 0; k < values.length; k += 1) {
          truth[firstElement + k] = (truth[firstElement + k] as number) + (values[k] as number) / clients;
        }
      }
    }
    for (const running of variants) {
      await runRound(running, round, deltas, seed);
      running.points.push(pointOf(running, round, truth));
    }
  }
  return variants.map(({ variant, plan, points }) => ({
    variant,
    clip: plan.body.clip / plan.referenceNorm,
    points,
  }));
}
