/**
 * The clip norm that error feedback needs, from the steady state of random sparsification.
 *
 * Of p = delta + residual, a fresh random share kappa of the coordinates is sent, the rest is the next residual:
 * p' = (I - P) p + delta. For a delta that is the same every round (the hardest case: nothing cancels),
 *
 *     E[p] = delta / kappa,
 *     E||p||^2 = (1 - kappa) E||p||^2 + 2 (1 - kappa) / kappa ||delta||^2 + ||delta||^2  =>  ||delta||^2 (2 - kappa) / kappa^2,
 *
 * so a round sends the energy kappa E||p||^2 = ||delta||^2 (2 - kappa) / kappa: for small kappa the sent vector is
 * 1.4 / sqrt(kappa)
 * times as long as the delta, because every coordinate brings along what has waited for it. Tensors add up:
 * sum e_m (2 - kappa_m) / kappa_m.
 *
 * A clip at the delta's own norm starves the residual. When p has grown long, it points along E[p], coordinates
 * d_m / (c kappa_m) with c the clipping factor; a round then sends at most a vector of length C whose part along each
 * d_m is what it must be, d_m, only if sum e_m / kappa_m <= C^2. With one ratio: the progress along delta is at
 * most sqrt(kappa) C a
 * round, and ||delta|| arrives anew each round. Below C = ||delta|| / sqrt(kappa) the residual grows for ever, and
 * what
 * arrives is a shrinking share of what was learned.
 */
import { requireEnergy, requirePositive, requireRatio } from './arguments.js';

/** The recommended clip over the steady state's sent norm: room for rounds that are larger than the median. */
export const CLIP_HEADROOM = 1.15;

/** A tensor as the steady state sees it. Only the proportions of the energies count where a norm is given. */
export interface KeptEnergy {
  readonly energy: number;
  /** kappa in (0, 1]. */
  readonly keepRatio: number;
}

/** One ratio for everything, or tensors with their own. */
export type Keep = number | readonly KeptEnergy[];

/** In units of the delta that repeats; norms are root mean squares over the random choices. */
export interface SteadyState {
  /** ||what a round sends|| / ||delta||. */
  readonly sentNormRatio: number;
  /** ||delta + residual|| / ||delta||. */
  readonly pendingNormRatio: number;
  /** ||residual after sending|| / ||delta||. */
  readonly residualNormRatio: number;
  /** Rounds until a coordinate's update arrives, the round that makes it included, on average over the energy: mean of 1 / kappa. */
  readonly roundsToArrive: number;
}

function keptEnergies(keep: Keep): readonly KeptEnergy[] {
  return typeof keep === 'number' ? [{ energy: 1, keepRatio: keep }] : keep;
}

/** The energy-weighted mean of `term(kappa)`. */
function meanOverEnergy(keep: Keep, term: (keepRatio: number) => number): number {
  let total = 0;
  let sum = 0;
  for (const { energy, keepRatio } of keptEnergies(keep)) {
    requireRatio('A keep ratio', keepRatio);
    requireEnergy('An energy', energy);
    total += energy;
    sum += energy * term(keepRatio);
  }
  requirePositive('The energy of all tensors', total);
  return sum / total;
}

/**
 * What error feedback settles to when the same delta comes every round and no round is clipped.
 *
 * @throws ParameterError `plan.argument-out-of-range`
 */
export function steadyState(keep: Keep): SteadyState {
  return {
    sentNormRatio: Math.sqrt(meanOverEnergy(keep, (kappa) => (2 - kappa) / kappa)),
    pendingNormRatio: Math.sqrt(meanOverEnergy(keep, (kappa) => (2 - kappa) / kappa ** 2)),
    residualNormRatio: Math.sqrt(meanOverEnergy(keep, (kappa) => ((2 - kappa) * (1 - kappa)) / kappa ** 2)),
    roundsToArrive: meanOverEnergy(keep, (kappa) => 1 / kappa),
  };
}

/**
 * A clip norm that the steady state of a client with a median-sized delta stays below:
 * {@link CLIP_HEADROOM} times the norm sent. 1.15 times the delta's norm when everything is sent, about
 * 1.6 / sqrt(kappa) times it for small kappa.
 *
 * @param medianDeltaNorm median over the clients of ||delta||
 * @throws ParameterError `plan.argument-out-of-range`
 */
export function recommendedClip(medianDeltaNorm: number, keep: Keep): number {
  requirePositive('The median norm of a delta', medianDeltaNorm);
  return CLIP_HEADROOM * medianDeltaNorm * steadyState(keep).sentNormRatio;
}

/**
 * The clip norm below which the residual of a delta that repeats grows without bound: sqrt(sum e_m / kappa_m), which
 * is norm / sqrt(kappa) with one ratio.
 *
 * @throws ParameterError `plan.argument-out-of-range`
 */
export function starvingClip(deltaNorm: number, keep: Keep): number {
  requirePositive('The norm of a delta', deltaNorm);
  return deltaNorm * Math.sqrt(meanOverEnergy(keep, (kappa) => 1 / kappa));
}

/**
 * Whether a clip norm starves error feedback for deltas of this norm: more is learned each round than a clipped
 * update can carry.
 *
 * @throws ParameterError `plan.argument-out-of-range`
 */
export function clipStarves(clip: number, deltaNorm: number, keep: Keep): boolean {
  requirePositive('The clip norm', clip);
  return clip < starvingClip(deltaNorm, keep);
}
