/**
 * A plan's compression from public data: which share of each tensor is sent, on which grid, in how many bits.
 *
 * The coordinator alone computes this and puts the numbers into the signed plan; nobody has to come to the same
 * last bits on another machine. Everything comes from public data, never from one client's delta.
 */

import { ParameterError } from '../../errors.js';
import { allocateBits, refuseSize } from './bit-targets.js';
import { type CompressionPlan, type CompressionRequest, checkRequest } from './compression-request.js';
import {
  averageError,
  coordinateSizes,
  deltaEnergy,
  expectation,
  type SentReference,
  undeliveredEnergy,
} from './expectation.js';
import { freeValues, keepBudget, keepCounts } from './keep-ratios.js';
import { choosePrivateBits, narrowestBits, privateScale } from './private-grid.js';
import { kept, type Reference, referenceOf, sentReference, sizeOf } from './reference.js';
import { gridRange, gridScale, peakRange } from './scales.js';

/** No free tensor waits more than this many times as long as all values together would at the plan's ratio. */
const SLOWEST_TENSOR = 10;

function countsFor({ request: { tensors } }: Reference, budget: number): number[] {
  const free = freeValues(tensors);
  const minimumKeepRatio = free > 0 ? Math.min(1, budget / free / SLOWEST_TENSOR) : 0;
  return keepCounts({ tensors, budget, minimumKeepRatio });
}

/** The counts of the request's ratio, or the largest that fit at the narrowest widths. */
function chooseCounts(reference: Reference): number[] {
  const { request, limitBytes } = reference;
  if (request.keepRatio !== 'auto')
    return countsFor(reference, keepBudget(request.tensors, request.keepRatio));
  const bytesAt = (budget: number): number => {
    const tensors = kept(reference, countsFor(reference, budget));
    return sizeOf(request, tensors, narrowestBits(reference, tensors));
  };
  let fitting = 0;
  let failing = freeValues(request.tensors) + 1;
  const least = bytesAt(fitting);
  if (least > limitBytes) {
    refuseSize(limitBytes, least, 'Allow more bytes, admit fewer bits, or lower the ratios that are fixed.');
  }
  // Everything first: the usual answer for a small adapter, and bisection would come to it last.
  if (bytesAt(failing - 1) <= limitBytes) fitting = failing - 1;
  while (failing - fitting > 1) {
    const middle = fitting + Math.floor((failing - fitting) / 2);
    if (bytesAt(middle) <= limitBytes) fitting = middle;
    else failing = middle;
  }
  return countsFor(reference, fitting);
}

/** gamma of each tensor at each width. */
function scaleTable(reference: Reference, sent: SentReference): (tensor: number, bits: number) => number {
  const { request, widths, peaks } = reference;
  if (request.privacy) {
    const scale = privateScale(reference, sent.tensors, sent.clip);
    return () => scale;
  }
  const { atClip } = coordinateSizes(sent);
  const ranges = new Map(widths.map((bits) => [bits, request.rotation ? gridRange(bits, sent.clients) : 0]));
  return (tensor, bits) => {
    const range = request.rotation ? (ranges.get(bits) as number) : peakRange(peaks[tensor] as number, 1);
    return gridScale(bits, atClip[tensor] as number, range);
  };
}

function chooseBits(
  reference: Reference,
  sent: SentReference,
  scaleAt: (tensor: number, bits: number) => number,
): { bits: readonly number[]; bytes: number } {
  const { request, widths, limitBytes } = reference;
  const { maxRelativeError } = request;
  const { first, steady } = coordinateSizes(sent);
  // An error target bounds the first round's error; without one, the size of coordinates that a run lives with counts.
  const sizes = maxRelativeError === undefined ? steady : first;
  const known = new Map<number, number>();
  const squaredError = (tensor: number, bits: number): number => {
    const key = tensor * 16 + bits;
    let error = known.get(key);
    if (error === undefined) {
      error = averageError(sent, tensor, sizes[tensor] as number, bits, scaleAt(tensor, bits));
      known.set(key, error);
    }
    return error;
  };
  const { bits, sizeBytes } = allocateBits(
    { counts: sent.tensors.map(({ count }) => count), widths, squaredError, sizeBytes: request.sizeBytes },
    {
      limitBytes,
      energy: deltaEnergy(sent),
      otherSquaredError: undeliveredEnergy(sent),
      ...(maxRelativeError !== undefined && { maxRelativeError }),
    },
  );
  return { bits, bytes: sizeBytes };
}

/** Refusals that another least width may not meet with. */
const MISSED_TARGETS: ReadonlySet<string> = new Set(['plan.size-target', 'plan.error-target']);

/** The least width of `auto` trades values against their accuracy: each that is admitted, narrowest first. */
function requestsByLeastWidth(request: CompressionRequest): CompressionRequest[] {
  const { bits, keepRatio, privacy } = request;
  // A private round has one grid: each tensor's width follows from it.
  if (keepRatio !== 'auto' || typeof bits === 'number' || privacy !== undefined) return [request];
  const leastWidths = Array.from({ length: bits.max - bits.min + 1 }, (_, i) => bits.min + i);
  return leastWidths.map((min): CompressionRequest => ({ ...request, bits: { min, max: bits.max } }));
}

/**
 * Whether a plan is the better one for a run: by the residual that it settles at, which both what waits to be sent and the
 * rounding that is fed back make. The first round's error would not do: it is nearly 1 for all plans that send little.
 */
function isBetter({ expected: a }: CompressionPlan, { expected: b }: CompressionPlan): boolean {
  if (a.clipStarves !== b.clipStarves) return b.clipStarves;
  return a.steadyState.residualNormRatio < b.steadyState.residualNormRatio;
}

/**
 * Chooses counts, clip, grids and bits.
 *
 * `auto` keeps as many values as fit at one least width, and widths then grow into what is left; of all least widths that
 * are admitted it takes the one whose residual is foreseen to settle lowest. A private round has one grid, and each tensor the bits that its range
 * needs on it; `bits` only
 * limits them. Without rotation a tensor's grid reaches 1.5 times its largest magnitude in the reference (scaled,
 * as its
 * energy, to the clip), and rounding errors are upper bounds over all distributions of that energy.
 *
 * At 2 bits, feeding the rounding back makes more noise than the clip has room for: nearly every round is then
 * clipped (to about
 * a quarter, when everything is sent), and residuals settle higher than foreseen, by half at a keep ratio of 0.2.
 * They
 * do not diverge, as the clip stays above the starving one. From 3 bits on, what is foreseen holds.
 *
 * 1,000 tensors with 10^8 values take a fraction of a second, the callback's time apart.
 *
 * @throws PlanTargetError `plan.error-target`: the error target needs more than the size target
 * @throws ParameterError `plan.size-target` (nothing that the request admits is small enough), `plan.private-range`,
 *   `plan.largest-needed`, `plan.no-energy`, `plan.argument-out-of-range`
 */
export function planCompression(request: CompressionRequest): CompressionPlan {
  checkRequest(request);
  let best: CompressionPlan | undefined;
  let refusal: unknown;
  for (const each of requestsByLeastWidth(request)) {
    try {
      const plan = planAtLeastWidth(each);
      if (best === undefined || isBetter(plan, best)) best = plan;
    } catch (error) {
      // Wider values take more bytes: what the narrowest are refused for is what the request is refused for.
      if (!(error instanceof ParameterError && MISSED_TARGETS.has(error.code))) throw error;
      refusal ??= error;
    }
  }
  if (best === undefined) throw refusal;
  return best;
}

function planAtLeastWidth(request: CompressionRequest): CompressionPlan {
  const reference = referenceOf(request);
  const keeps = chooseCounts(reference);
  const sent = sentReference(reference, keeps);
  const scaleAt = scaleTable(reference, sent);
  const { bits, bytes } = request.privacy
    ? choosePrivateBits(reference, sent)
    : chooseBits(reference, sent, scaleAt);
  const scales = bits.map((width, m) => scaleAt(m, width));
  return { keeps, bits, scales, clip: sent.clip, expected: expectation(sent, bits, scales), bytes };
}
