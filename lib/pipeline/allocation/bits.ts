/**
 * "Adaptive perceptual" (APHE) bit allocation: how many bits each tensor's values get.
 *
 * Each tensor's choices of (bytes, squared error) are reduced to their lower convex hull, and the steps along all the
 * hulls are taken in the order of the error that they save a byte (Everett's Lagrangian greedy, as for
 * rate-distortion in
 * Shoham and Gersho, 1988). Wherever it stops, no allocation of the same size is better, as long as size is the
 * sum of
 * the tensors' sizes; the true size, in which all values of one width are packed together and rounded up to whole
 * ring
 * elements, comes from the callback and alone decides what fits.
 */
import { ParameterError } from '../../errors.js';
import { requireBits, requireCount } from './arguments.js';

/** Bytes of an update that holds so many values of each width; widths ascend, none has zero values. */
export type SizeBytes = (valuesByBits: ReadonlyMap<number, number>) => number;

export interface BitProblem {
  /** K_m: values of each tensor in an update. */
  readonly counts: readonly number[];
  /** The widths that may be used, ascending, each 2..8. */
  readonly widths: readonly number[];
  /** Predicted squared error of the average of all clients in tensor `tensor`, summed over its values. */
  readonly squaredError: (tensor: number, bits: number) => number;
  readonly sizeBytes: SizeBytes;
}

export interface BitAllocation {
  /** b_m. */
  readonly bits: readonly number[];
  readonly squaredError: number;
  readonly sizeBytes: number;
}

/** Attempts to spend what rounding left of a target, each of which asks the callback. */
const REFINEMENTS = 64;

interface Step {
  readonly tensor: number;
  readonly from: number;
  readonly to: number;
  readonly savedPerByte: number;
}

interface Ladder {
  /** Every tensor at its cheapest width. */
  readonly start: readonly number[];
  readonly steps: readonly Step[];
}

/** @throws ParameterError `plan.argument-out-of-range` */
function checkProblem({ counts, widths }: BitProblem): void {
  for (const [m, count] of counts.entries()) requireCount(`The number of values sent of tensor ${m}`, count);
  for (const width of widths) requireBits('A width', width);
  const ascending = widths.every((width, i) => i === 0 || width > (widths[i - 1] as number));
  if (counts.length === 0 || widths.length === 0 || !ascending) {
    throw new ParameterError(
      'plan.argument-out-of-range',
      `Bits are allocated to one tensor or more, from ascending widths, not to ${counts.length} from [${widths.join(', ')}].`,
    );
  }
}

/** {@link BitProblem.sizeBytes} of an allocation, each set of counts asked for once. */
function sizer(problem: BitProblem): (bits: readonly number[]) => number {
  const known = new Map<string, number>();
  return (bits) => {
    const totals = problem.widths.map(() => 0);
    for (const [m, count] of problem.counts.entries()) {
      const i = problem.widths.indexOf(bits[m] as number);
      totals[i] = (totals[i] as number) + count;
    }
    const key = totals.join();
    let size = known.get(key);
    if (size === undefined) {
      const used = problem.widths.map((width, i) => [width, totals[i] as number] as const);
      size = problem.sizeBytes(new Map(used.filter(([, values]) => values > 0)));
      known.set(key, size);
    }
    return size;
  };
}

function totalError(problem: BitProblem, bits: readonly number[]): number {
  return bits.reduce((sum, width, m) => sum + problem.squaredError(m, width), 0);
}

/** Bytes of one value at each width, from an update that has all values at it. */
function bytesPerValue({ counts, widths, sizeBytes }: BitProblem): Map<number, number> {
  const total = counts.reduce((a, b) => a + b, 0);
  return new Map(widths.map((width) => [width, sizeBytes(new Map([[width, total]])) / total]));
}

/** The widths of one tensor's lower convex hull of (bytes a value, error), from the cheapest to the most accurate. */
function hullOf(
  problem: BitProblem,
  tensor: number,
  widths: readonly number[],
  bytes: Map<number, number>,
): number[] {
  const at = (width: number): { cost: number; error: number } => ({
    cost: bytes.get(width) as number,
    error: problem.squaredError(tensor, width),
  });
  const byCost = [...widths].sort((a, b) => at(a).cost - at(b).cost || at(a).error - at(b).error || a - b);
  const hull: number[] = [];
  for (const width of byCost) {
    const next = at(width);
    const last = hull.at(-1);
    if (last !== undefined && next.error >= at(last).error) continue;
    while (hull.length > 1) {
      const b = at(hull.at(-1) as number);
      const a = at(hull.at(-2) as number);
      // b stays only where the slope falls from a-b to b-next.
      if ((a.error - b.error) * (next.cost - b.cost) > (b.error - next.error) * (b.cost - a.cost)) break;
      hull.pop();
    }
    hull.push(width);
  }
  return hull;
}

function ladderOf(problem: BitProblem, widths: readonly number[], bytes: Map<number, number>): Ladder {
  const start: number[] = [];
  const steps: Step[] = [];
  for (const [tensor, count] of problem.counts.entries()) {
    const hull = hullOf(problem, tensor, widths, bytes);
    start.push(hull[0] as number);
    for (let i = 1; i < hull.length; i += 1) {
      const from = hull[i - 1] as number;
      const to = hull[i] as number;
      const saved = problem.squaredError(tensor, from) - problem.squaredError(tensor, to);
      const cost = count * ((bytes.get(to) as number) - (bytes.get(from) as number));
      steps.push({ tensor, from, to, savedPerByte: saved / cost });
    }
  }
  // Stable, so equal savings keep the tensors' order, and a tensor's own steps theirs.
  steps.sort((a, b) => b.savedPerByte - a.savedPerByte);
  return { start, steps };
}

function after(ladder: Ladder, stepCount: number): number[] {
  const bits = [...ladder.start];
  for (let i = 0; i < stepCount; i += 1) {
    const { tensor, to } = ladder.steps[i] as Step;
    bits[tensor] = to;
  }
  return bits;
}

/** The smallest number of steps for which `holds`, given that it holds after all; exact where it is monotone. */
function firstThatHolds(stepCount: number, holds: (steps: number) => boolean): number {
  let failing = -1;
  let holding = stepCount;
  while (holding - failing > 1) {
    const middle = (failing + holding) >> 1;
    if (holds(middle)) holding = middle;
    else failing = middle;
  }
  return holding;
}

type SizeOf = (bits: readonly number[]) => number;

function fillTo(limitBytes: number, ladder: Ladder, sizeOf: SizeOf): number[] | undefined {
  if (sizeOf(ladder.start) > limitBytes) return undefined;
  const { steps } = ladder;
  const everything = after(ladder, steps.length);
  if (sizeOf(everything) <= limitBytes) return everything;
  const tooMany = firstThatHolds(steps.length, (count) => sizeOf(after(ladder, count)) > limitBytes);
  const bits = after(ladder, tooMany - 1);
  // The step that did not fit may have been a large tensor's; smaller ones further on still may.
  for (const { tensor, from, to } of steps.slice(tooMany - 1, tooMany - 1 + REFINEMENTS)) {
    if (bits[tensor] !== from) continue;
    bits[tensor] = to;
    if (sizeOf(bits) > limitBytes) bits[tensor] = from;
  }
  return bits;
}

function reach(
  errorLimit: number,
  problem: BitProblem,
  ladder: Ladder,
  sizeOf: SizeOf,
): number[] | undefined {
  const { steps } = ladder;
  const meets = (bits: readonly number[]): boolean => totalError(problem, bits) <= errorLimit;
  if (!meets(after(ladder, steps.length))) return undefined;
  const needed = firstThatHolds(steps.length, (count) => meets(after(ladder, count)));
  const bits = after(ladder, needed);
  // The last step overshoots; what it gained may pay for a step that saved little.
  for (const { tensor, from, to } of steps.slice(Math.max(0, needed - REFINEMENTS), needed).reverse()) {
    if (bits[tensor] !== to) continue;
    const before = sizeOf(bits);
    bits[tensor] = from;
    if (!meets(bits) || sizeOf(bits) > before) bits[tensor] = to;
  }
  return bits;
}

/**
 * The best allocation over the admitted widths and over fewer of them: each width in use rounds up to whole ring
 * elements, so dropping one that few values use may pay. Widths are dropped one at a time while that helps.
 */
function bestOverWidths(
  problem: BitProblem,
  allocate: (ladder: Ladder, sizeOf: SizeOf) => number[] | undefined,
  better: (a: BitAllocation, b: BitAllocation) => boolean,
): BitAllocation | undefined {
  checkProblem(problem);
  const sizeOf = sizer(problem);
  const bytes = bytesPerValue(problem);
  const attempt = (widths: readonly number[]): BitAllocation | undefined => {
    const bits = allocate(ladderOf(problem, widths, bytes), sizeOf);
    return bits && { bits, squaredError: totalError(problem, bits), sizeBytes: sizeOf(bits) };
  };
  let best = attempt(problem.widths);
  // All at one width costs the least rounding up: it may be the only thing that fits.
  for (const width of problem.widths) {
    const uniform = attempt([width]);
    if (uniform && (!best || better(uniform, best))) best = uniform;
  }
  for (let improved = true; improved && best; ) {
    improved = false;
    const used = problem.widths.filter((width) => (best as BitAllocation).bits.includes(width));
    for (const dropped of used.length > 1 ? used : []) {
      const candidate = attempt(used.filter((width) => width !== dropped));
      if (candidate && better(candidate, best)) {
        best = candidate;
        improved = true;
      }
    }
  }
  return best;
}

/**
 * The allocation with the least squared error among those of at most `limitBytes`; of equally accurate ones the
 * smaller. `undefined` if none fits.
 *
 * @throws ParameterError `plan.argument-out-of-range`
 */
export function mostAccurateBits(problem: BitProblem, limitBytes: number): BitAllocation | undefined {
  return bestOverWidths(
    problem,
    (ladder, sizeOf) => fillTo(limitBytes, ladder, sizeOf),
    (a, b) =>
      a.squaredError < b.squaredError || (a.squaredError === b.squaredError && a.sizeBytes < b.sizeBytes),
  );
}

/**
 * The smallest allocation with a squared error of at most `errorLimit`; of equally small ones the more accurate.
 * `undefined` if no width reaches it.
 *
 * @throws ParameterError `plan.argument-out-of-range`
 */
export function cheapestBits(problem: BitProblem, errorLimit: number): BitAllocation | undefined {
  return bestOverWidths(
    problem,
    (ladder, sizeOf) => reach(errorLimit, problem, ladder, sizeOf),
    (a, b) => a.sizeBytes < b.sizeBytes || (a.sizeBytes === b.sizeBytes && a.squaredError < b.squaredError),
  );
}
