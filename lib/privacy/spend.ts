/** One release of a site under one plan: what the privacy ledger records. */
import { z } from 'zod';
import { ParameterError } from '../errors.js';
import { type Release, requireRelease, requireSamplerDelta } from './release.js';

export interface Spend {
  /** Fingerprint of the round plan, 32 bytes: what makes a retry recognizable. */
  readonly plan: Uint8Array;
  /** 1 to 255 characters, as `policy`. */
  readonly fleet: string;
  readonly policy: string;
  readonly round: number;
  /** Who releases; of a site's robots one takes part in a private round. */
  readonly client: string;
  readonly release: Release;
  /** Distance of the release's noise from the exact mechanism: `samplerDelta(release, table.totalVariation)`. */
  readonly samplerDelta: number;
}

// A lone surrogate is stored as another character, and the row would no longer match its hash.
const name = z
  .string()
  .min(1)
  .max(255)
  .regex(/^\P{Surrogate}*$/u, 'must be well-formed Unicode');

const spendSchema = z.object({
  plan: z.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length === 32,
    'must be a fingerprint of 32 bytes',
  ),
  fleet: name,
  policy: name,
  round: z.int().min(0),
  client: name,
});

/** @throws ParameterError `privacy.bad-spend`, `privacy.bad-release`, `privacy.bad-sampler-delta` */
export function requireSpend(value: Spend): Spend {
  const parsed = spendSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new ParameterError(
      'privacy.bad-spend',
      `The release belongs to no round: ${issue?.path.join('.')}: ${issue?.message}.`,
    );
  }
  requireSamplerDelta(value.samplerDelta);
  return { ...parsed.data, release: requireRelease(value.release), samplerDelta: value.samplerDelta };
}

/**
 * Whether two spends are the same release of the same round. The noise tables' distance may differ: a retry by a later
 * version, which bounds it better, sends what the earlier one sealed.
 */
export function sameSpend(left: Spend, right: Spend): boolean {
  const content = ({ plan, fleet, policy, round, release }: Spend): string =>
    JSON.stringify([
      Buffer.from(plan).toString('hex'),
      fleet,
      policy,
      round,
      release.mechanism,
      release.clientVariance,
      release.honest,
      release.l2Squared,
      release.dimension,
      release.draws,
    ]);
  return content(left) === content(right);
}
