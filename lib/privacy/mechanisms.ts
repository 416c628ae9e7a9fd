/** Renyi divergence of the noisy sum for two inputs that differ by one client, mechanism by mechanism. */
import { ParameterError } from '../errors.js';
import { type RdpCurve, rdpCurve } from './rdp.js';
import { l1Bound, type Release, requireRelease } from './release.js';

/** Terms of tau that are added one by one; each later one is bounded by the last of these. */
const EXACT_TAU_TERMS = 100_000;

export interface SkellamNoise {
  /** Variance mu of the summed noise, quanta^2. */
  readonly variance: number;
  /** Squared L2 sensitivity, quanta^2. */
  readonly l2Squared: number;
  /** L1 sensitivity, quanta. */
  readonly l1: number;
}

/**
 * The Skellam mechanism at `order` > 1: `a D2^2/(2 mu) + min(((2a - 1) D2^2 + 6 D1)/(4 mu^2), 3 D1/(2 mu))`
 * (Agarwal, Kairouz, Liu 2021, Corollary 4.1).
 *
 * The bound is used at integer orders only, which is as far as its proof is taken here. In between, (a - 1) times
 * the divergence is convex in a and 0 at a = 1 (van Erven, Harremoes 2014, Corollary 2), so the chord bounds it.
 *
 * @throws ParameterError `privacy.bad-noise`
 */
export function skellamRdp(noise: SkellamNoise, order: number): number {
  requirePositive('variance', noise.variance);
  requirePositive('l2Squared', noise.l2Squared);
  requirePositive('l1', noise.l1);
  const below = Math.floor(order);
  if (below === order) {
    return skellamAtInteger(noise, order);
  }
  const atBelow = below === 1 ? 0 : (below - 1) * skellamAtInteger(noise, below);
  const atAbove = below * skellamAtInteger(noise, below + 1);
  return ((below + 1 - order) * atBelow + (order - below) * atAbove) / (order - 1);
}

function skellamAtInteger({ variance, l2Squared, l1 }: SkellamNoise, order: number): number {
  return (
    (order * l2Squared) / (2 * variance) +
    Math.min(((2 * order - 1) * l2Squared + 6 * l1) / (4 * variance * variance), (3 * l1) / (2 * variance))
  );
}

export interface DiscreteGaussianNoise {
  /** Parameter sigma^2 of every summand, quanta^2, at least 1/4. */
  readonly variance: number;
  /** Independent summands. */
  readonly summands: number;
  /** Squared L2 sensitivity, quanta^2. */
  readonly l2Squared: number;
  readonly dimension: number;
}

/**
 * The sum of discrete Gaussians at `order` > 1, which is not itself one: `min(a s^2/2 + tau d,
 * (a/2)(s + sqrt(d) tau)^2)` with `s^2 = D2^2 / (n sigma^2)` and {@link discreteGaussianTau} (Kairouz, Liu,
 * Steinke 2021, Proposition 14).
 *
 * @throws ParameterError `privacy.bad-noise`
 */
export function distributedDiscreteGaussianRdp(noise: DiscreteGaussianNoise, order: number): number {
  requirePositive('l2Squared', noise.l2Squared);
  const shift = Math.sqrt(noise.l2Squared / (noise.summands * noise.variance));
  const tau = discreteGaussianTau(noise.variance, noise.summands);
  return discreteGaussianBound(order, shift, tau, noise.dimension);
}

function discreteGaussianBound(order: number, shift: number, tau: number, dimension: number): number {
  return Math.min(
    (order * shift * shift) / 2 + tau * dimension,
    (order / 2) * (shift + Math.sqrt(dimension) * tau) ** 2,
  );
}

/**
 * How far the sum of n discrete Gaussians is from one discrete Gaussian of variance n sigma^2: `tau = 10 *
 * sum_{k=1}^{n-1} exp(-2 pi^2 sigma^2 k/(k+1))`, or slightly more for n above 100,000. Proved for sigma >= 1/2.
 *
 * @throws ParameterError `privacy.bad-noise`
 */
export function discreteGaussianTau(variance: number, summands: number): number {
  requirePositive('variance', variance);
  requirePositive('summands', summands);
  if (variance < 0.25) {
    throw new ParameterError(
      'privacy.bad-noise',
      `A discrete Gaussian of variance ${variance} is below 1/4 quanta^2, where the bound on sums of them does ` +
        'not hold. Use a smaller scale or more noise.',
    );
  }
  const term = (k: number) => Math.exp((-2 * Math.PI * Math.PI * variance * k) / (k + 1));
  const last = Math.min(summands - 1, EXACT_TAU_TERMS);
  let sum = 0;
  for (let k = 1; k <= last; k += 1) {
    sum += term(k);
  }
  // Terms decrease with k.
  return 10 * (sum + (summands - 1 - last) * term(Math.max(1, last)));
}

/**
 * The divergence bound of one release, order by order. Contributors beyond `honest` only add noise that is
 * independent of the data, which is post-processing.
 *
 * @throws ParameterError `privacy.bad-release`
 */
export function releaseRdp(release: Release): RdpCurve {
  const { mechanism, clientVariance, honest, l2Squared, dimension, draws } = requireRelease(release);
  if (mechanism === 'skellam') {
    const noise = { variance: honest * clientVariance, l2Squared, l1: l1Bound(l2Squared, dimension) };
    return rdpCurve((order) => skellamRdp(noise, order));
  }
  // Once, not at every order: it is a sum over all summands.
  const tau = discreteGaussianTau(clientVariance / draws, honest * draws);
  const shift = Math.sqrt(l2Squared / (honest * clientVariance));
  return rdpCurve((order) => discreteGaussianBound(order, shift, tau, dimension));
}

/**
 * The divergence of one value of a release at integer `order` > 1, when it is shifted by `shift` >= 1 quanta.
 *
 * @param tau `discreteGaussianTau` of the release, 0 for Skellam
 */
export function divergenceOfShift(release: Release, tau: number, shift: number, order: number): number {
  const variance = release.honest * release.clientVariance;
  return release.mechanism === 'skellam'
    ? skellamAtInteger({ variance, l2Squared: shift * shift, l1: shift }, order)
    : discreteGaussianBound(order, shift / Math.sqrt(variance), tau, 1);
}

function requirePositive(name: string, value: number): void {
  if (!(value > 0 && Number.isFinite(value))) {
    throw new ParameterError('privacy.bad-noise', `${name} is ${value}; it must be finite and above 0.`);
  }
}
