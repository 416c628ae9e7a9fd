/**
 * How many of a tensor's values a round sends: "semantic" sparsification, by the energy of the last released update.
 *
 * A tensor of n values and energy e (density d = e / n) of which a random share kappa is sent each round, with error
 * feedback, holds back a residual. For deltas that are independent from round to round, p' = (I - P) p + delta gives
 * E||p||^2 = e / kappa, so the residual's energy is e (1 - kappa) / kappa = n d / kappa - n d; without feedback,
 * the unbiased estimate
 * P delta / kappa has exactly the same variance. What is to be minimised is therefore
 *
 *     sum n_m d_m / kappa_m   subject to   sum n_m kappa_m = budget,   floor <= kappa_m <= 1,
 *
 * whose Lagrangian n d / kappa^2 = lambda n gives kappa proportional to sqrt(d), clipped to [floor, 1]
 * (water-filling).
 * Equal densities give equal ratios; a tensor with 100 times the density gets 10 times the ratio. In the steady
 * state all
 * unclipped tensors then have coordinates of (nearly) one size, which suits a common grid.
 *
 * Counts are integers, so the integer problem is solved, and exactly: with c = n e the objective is sum c_m / K_m,
 * convex in every K_m, and its optimum takes the increments K-1 -> K of largest gain c / (K (K-1)) down to one
 * threshold 1 / u^2, that is K(u) = floor((1 + sqrt(1 + 4 c u^2)) / 2), which is sqrt(c) u rounded.
 */
import { requireCount, requireEnergy, requireRatio } from './arguments.js';

export interface KeepTensor {
  /** n: values that can be sent (of a rotated tensor, after the rotation's padding). */
  readonly values: number;
  /** e: sum of squares in the reference, at least 0. */
  readonly energy: number;
  /** A fixed ratio in (0, 1]; the tensor then takes no part in the distribution. */
  readonly keepRatio?: number;
}

export interface KeepRequest {
  readonly tensors: readonly KeepTensor[];
  /** Values to keep of all tensors without a fixed ratio ({@link keepBudget} turns a ratio into this). */
  readonly budget: number;
  /** No free tensor keeps less than this share, so none waits longer than its inverse; 0 by default. */
  readonly minimumKeepRatio?: number;
}

/** A product that is an integer but for its last bits counts as that integer. */
const SLACK = 1e-12;

function countAtRatio(values: number, ratio: number): number {
  return Math.min(values, Math.max(1, Math.round(values * ratio)));
}

/** Values that `ratio` keeps of the tensors without a fixed ratio, rounded to the nearest. */
export function keepBudget(tensors: readonly KeepTensor[], ratio: number): number {
  return Math.round(ratio * freeValues(tensors));
}

/** Values of the tensors without a fixed ratio. */
export function freeValues(tensors: readonly KeepTensor[]): number {
  return tensors.reduce((sum, { values, keepRatio }) => (keepRatio === undefined ? sum + values : sum), 0);
}

/**
 * The energies, with those that are zero replaced by the median of the other tensors' densities times n. LoRA's B
 * is zero before training: it says nothing about how much of it training will move. When all are zero, all
 * densities are 1.
 *
 * @throws ParameterError `plan.argument-out-of-range`
 */
export function referenceEnergies(tensors: readonly KeepTensor[]): number[] {
  const densities: number[] = [];
  for (const [m, { values, energy }] of tensors.entries()) {
    requireCount(`The number of values of tensor ${m}`, values);
    requireEnergy(`The energy of tensor ${m}`, energy);
    if (energy > 0) densities.push(energy / values);
  }
  densities.sort((a, b) => a - b);
  const upper = densities[densities.length >> 1] ?? 1;
  const lower = densities[(densities.length - 1) >> 1] ?? 1;
  const median = lower + (upper - lower) / 2;
  return tensors.map(({ values, energy }) => (energy > 0 ? energy : median * values));
}

interface Share {
  readonly tensor: number;
  readonly least: number;
  readonly most: number;
  /** sqrt(n e), divided by the largest one. */
  readonly weight: number;
}

function countAt(share: Share, u: number): number {
  const ideal = Math.floor((1 + Math.sqrt(1 + 4 * (share.weight * u) ** 2)) / 2);
  return Math.min(share.most, Math.max(share.least, ideal));
}

function totalAt(shares: readonly Share[], u: number): number {
  let total = 0;
  for (const share of shares) total += countAt(share, u);
  return total;
}

/** Optimal counts with the given sum, least <= K <= most; a sum out of reach gives the nearest end. */
function distribute(shares: readonly Share[], budget: number, counts: number[]): void {
  let below = 0;
  let above = 0;
  for (const { most, weight } of shares) above = Math.max(above, most / weight);
  if (budget <= totalAt(shares, 0)) above = 0;
  else if (budget >= totalAt(shares, above)) below = above;
  // The total grows with u in steps; this ends at two neighbouring doubles around the step that crosses the budget.
  for (;;) {
    const middle = below + (above - below) / 2;
    if (!(middle > below && middle < above)) break;
    if (totalAt(shares, middle) <= budget) below = middle;
    else above = middle;
  }
  let left = budget - totalAt(shares, below);
  for (const share of shares) {
    // Increments of one gain, to the last bit: the tensor that comes first takes them.
    const count = countAt(share, below);
    const extra = Math.min(Math.max(0, left), countAt(share, above) - count);
    counts[share.tensor] = count + extra;
    left -= extra;
  }
}

/**
 * K_m for every tensor: 1 <= K_m <= n_m, the free ones summing to the budget exactly, unless their lower bounds (at
 * least one value, at least the minimum ratio) exceed it or it exceeds what there is. Deterministic; among equal
 * gains
 * the tensor that comes first wins, so that a permutation of the tensors changes no count by more than one.
 *
 * @throws ParameterError `plan.argument-out-of-range`
 */
export function keepCounts(request: KeepRequest): number[] {
  const { tensors, minimumKeepRatio = 0 } = request;
  const budget = Math.max(0, Math.floor(request.budget));
  if (minimumKeepRatio !== 0) requireRatio('The minimum keep ratio', minimumKeepRatio);
  const energies = referenceEnergies(tensors);
  const counts: number[] = [];
  const roots: number[] = [];
  const free: number[] = [];
  for (const [m, { values, keepRatio }] of tensors.entries()) {
    if (keepRatio === undefined) {
      free.push(m);
      // Two roots: the product of a large energy and a large tensor may overflow.
      roots.push(Math.sqrt(energies[m] as number) * Math.sqrt(values));
    } else {
      requireRatio(`The keep ratio of tensor ${m}`, keepRatio);
      counts[m] = countAtRatio(values, keepRatio);
    }
  }
  const largest = roots.reduce((a, b) => Math.max(a, b), 0);
  const shares = free.map((tensor, i): Share => {
    const { values } = tensors[tensor] as KeepTensor;
    const least = Math.max(1, Math.ceil(minimumKeepRatio * values * (1 - SLACK)));
    return { tensor, least, most: values, weight: (roots[i] as number) / largest };
  });
  if (shares.length > 0) distribute(shares, budget, counts);
  return counts;
}
