/** One release of a noisy integer sum: what the accountant needs to know about it. */
import { z } from 'zod';
import { ParameterError } from '../errors.js';

export const MECHANISMS = ['skellam', 'discrete-gaussian'] as const;

export type Mechanism = (typeof MECHANISMS)[number];

/** The largest client variance, quanta^2: far beyond what a plaintext modulus holds. */
export const LARGEST_CLIENT_VARIANCE = 2 ** 32;

const count = z.int().min(1);

/** Exactly these fields, so that a misspelt one is not ignored. */
export const releaseSchema = z
  .strictObject({
    mechanism: z.enum(MECHANISMS),
    clientVariance: count.max(LARGEST_CLIENT_VARIANCE),
    honest: count,
    l2Squared: count,
    dimension: count,
    draws: count,
  })
  .refine((release) => release.clientVariance >= release.draws, {
    message: 'clientVariance / draws must be 1 or more',
  });

/** Plain data, as it stands in plans, headers and the ledger. All numbers are integers, 1 or more. */
export interface Release {
  readonly mechanism: Mechanism;
  /**
   * Variance of the noise that each client adds to each value, quanta^2: Skellam's variance, or the discrete
   * Gaussian's parameter sigma^2.
   */
  readonly clientVariance: number;
  /** Contributors whose noise counts: the quorum less the clients that may collude. */
  readonly honest: number;
  /** Largest squared L2 norm of one client's integers, quanta^2: what adding or removing it changes. */
  readonly l2Squared: number;
  /** Number of values, K. */
  readonly dimension: number;
  /** Independent samples, of variance clientVariance / draws each, that a client's noise is the sum of. */
  readonly draws: number;
}

/** @throws ParameterError `privacy.bad-release` */
export function requireRelease(value: Release): Release {
  const parsed = releaseSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new ParameterError(
      'privacy.bad-release',
      `The release cannot be accounted for: ${issue?.path.join('.') || 'release'}: ${issue?.message}. All its ` +
        'numbers are integers, 1 or more.',
    );
  }
  return parsed.data;
}

/** Largest L1 norm for a given L2 norm: Cauchy-Schwarz, and |v| <= v^2 for integers. In quanta. */
export function l1Bound(l2Squared: number, dimension: number): number {
  return Math.min(Math.sqrt(dimension) * Math.sqrt(l2Squared), l2Squared);
}

/**
 * Checks a distance of noise tables from the exact mechanism.
 *
 * @throws ParameterError `privacy.bad-sampler-delta` unless in [0, 1]
 */
export function requireSamplerDelta(value: number): void {
  if (!(value >= 0 && value <= 1)) {
    throw new ParameterError(
      'privacy.bad-sampler-delta',
      `The distance of the noise tables from the exact mechanism is ${value}; it must lie in [0, 1].`,
    );
  }
}
