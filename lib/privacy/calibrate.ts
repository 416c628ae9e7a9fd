/** From noise to epsilon and back, for a number of equal rounds. */
import { ParameterError } from '../errors.js';
import { addExpense, expenseEpsilon, expenseOf, NOTHING_SPENT } from './guarantee.js';
import { drawsOf } from './noise-table.js';
import { requireDelta, requireEpsilon } from './rdp.js';
import { LARGEST_CLIENT_VARIANCE, type Mechanism, type Release } from './release.js';
import { samplerDelta } from './sampler-distance.js';
import { roundingBound } from './sensitivity.js';

/** What is fixed before the noise is chosen. */
export interface NoiseSetting {
  readonly mechanism: Mechanism;
  /** Clip norm C, in the values' own unit. */
  readonly clip: number;
  /** Scale gamma: the size of one quantum, in the same unit. */
  readonly scale: number;
  /** Number of values K. */
  readonly dimension: number;
  /** Quorum less colluders. */
  readonly honest: number;
  /** Probability of drawing a rounding again; see `roundingBound`. */
  readonly beta?: number;
}

export interface CalibratedNoise {
  /** For one round; its `clientVariance` is an integer. */
  readonly release: Release;
  /** `sqrt(honest * clientVariance) * scale / clip`: the noise multiplier after rounding the variance up. */
  readonly noiseMultiplier: number;
  /** Of one round; an upper bound that needs no table. */
  readonly samplerDelta: number;
  /** Of all rounds together. */
  readonly epsilon: number;
}

/**
 * Epsilon of `rounds` rounds with a given noise multiplier.
 *
 * @throws ParameterError `privacy.bad-noise`, `privacy.bad-rounds`, `privacy.bad-delta`, `privacy.bad-release`,
 *   `privacy.bad-rounding`
 */
export function epsilonOfNoise(
  request: NoiseSetting & {
    readonly noiseMultiplier: number;
    readonly rounds: number;
    readonly delta: number;
  },
): CalibratedNoise {
  const { noiseMultiplier, clip, scale, honest } = request;
  if (!(noiseMultiplier > 0 && Number.isFinite(noiseMultiplier))) {
    throw new ParameterError(
      'privacy.bad-noise',
      `The noise multiplier is ${noiseMultiplier}; it must be finite and above 0.`,
    );
  }
  const setting = withSensitivity(request);
  const exact = ((noiseMultiplier * clip) / scale) ** 2 / honest;
  // A multiplier that came from an integer variance must lead back to it.
  const clientVariance = Math.max(1, Math.ceil(exact * (1 - 1e-12)));
  return calibrated(setting, clientVariance, request.rounds, request.delta);
}

/**
 * The least noise that keeps `rounds` rounds within (epsilon, delta): the smallest integer client variance.
 *
 * @throws ParameterError `privacy.target-unreachable`, `privacy.bad-epsilon`, `privacy.bad-delta`,
 *   `privacy.bad-rounds`, `privacy.bad-release`, `privacy.bad-rounding`
 */
export function calibrateNoise(
  request: NoiseSetting & { readonly epsilon: number; readonly rounds: number; readonly delta: number },
): CalibratedNoise {
  const { epsilon, rounds, delta } = request;
  requireEpsilon(epsilon);
  requireDelta(delta);
  const setting = withSensitivity(request);
  // Of the exact mechanism, epsilon falls with the noise. The tables' distance from it grows, slowly.
  const exact = smallestVariance((variance) => calibrated(setting, variance, rounds, delta, 0), epsilon, 1);
  return (
    (exact &&
      smallestVariance((variance) => calibrated(setting, variance, rounds, delta), epsilon, exact.variance)
        ?.noise) ??
    unreachable(request)
  );
}

/**
 * The smallest variance from `first` on that keeps within `epsilon`, if there is one: found by steps that grow by 1/32,
 * small enough not to leap over the variances that do, then by bisection.
 */
function smallestVariance(
  at: (variance: number) => CalibratedNoise,
  epsilon: number,
  first: number,
): { readonly variance: number; readonly noise: CalibratedNoise } | undefined {
  let tooLittle = first - 1;
  let variance = first;
  let noise = at(variance);
  while (noise.epsilon > epsilon) {
    tooLittle = variance;
    variance += Math.ceil(variance / 32);
    if (variance > LARGEST_CLIENT_VARIANCE) {
      return undefined;
    }
    noise = at(variance);
  }
  while (variance - tooLittle > 1) {
    const middle = Math.floor((tooLittle + variance) / 2);
    const candidate = at(middle);
    if (candidate.epsilon <= epsilon) {
      [variance, noise] = [middle, candidate];
    } else {
      tooLittle = middle;
    }
  }
  return { variance, noise };
}

function unreachable({ epsilon, rounds, delta }: { epsilon: number; rounds: number; delta: number }): never {
  throw new ParameterError(
    'privacy.target-unreachable',
    `No noise up to a variance of 2^32 quanta^2 a client keeps ${rounds} rounds within epsilon ${epsilon} at delta ` +
      `${delta}. Allow a larger epsilon or delta, fewer rounds, fewer values or a larger scale.`,
  );
}

type SettingWithSensitivity = NoiseSetting & { readonly l2Squared: number };

function withSensitivity(setting: NoiseSetting): SettingWithSensitivity {
  return { ...setting, l2Squared: roundingBound(setting).l2Squared };
}

function calibrated(
  setting: SettingWithSensitivity,
  clientVariance: number,
  rounds: number,
  delta: number,
  sampler?: number,
): CalibratedNoise {
  const { mechanism, honest, l2Squared, dimension, scale, clip } = setting;
  const draws = drawsOf(clientVariance);
  const release: Release = { mechanism, clientVariance, honest, l2Squared, dimension, draws };
  return {
    release,
    noiseMultiplier: (Math.sqrt(honest * clientVariance) * scale) / clip,
    samplerDelta: samplerDelta(release),
    epsilon: expenseEpsilon(addExpense(NOTHING_SPENT, expenseOf(release, sampler), rounds), delta),
  };
}
