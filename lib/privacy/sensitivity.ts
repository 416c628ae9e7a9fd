/** How large one client's integers can be: the sensitivity of a sum of stochastically rounded vectors. */
import { ParameterError } from '../errors.js';

/** exp(-1/2), the paper's choice: the bound grows by one standard deviation, and 39 % of draws at least are kept. */
export const DEFAULT_ROUNDING_BETA = Math.exp(-0.5);

export interface RoundingRequest {
  /** Largest L2 norm C of the real vector. */
  readonly clip: number;
  /** Scale gamma: the real size of one quantum, the same for all coordinates. */
  readonly scale: number;
  /** Number of coordinates. */
  readonly dimension: number;
  /** Largest probability that one rounding is drawn again, in (0, 1). */
  readonly beta?: number;
}

export interface RoundingBound {
  /** Largest squared L2 norm of the integers, quanta^2: a rounding above it is drawn again. */
  readonly l2Squared: number;
  /** At least this share of roundings stays within it, for every vector within the clip. */
  readonly acceptance: number;
}

/**
 * The bound of conditional rounding: the smaller of `(C + gamma sqrt d)^2`, which every rounding meets, and
 * `C^2 + gamma^2 d/4 + sqrt(2 ln(1/beta)) gamma (C + gamma sqrt(d)/2)`, which 1 - beta of them meet, over gamma^2
 * (Kairouz, Liu, Steinke 2021, conditional rounding).
 *
 * A squared norm of integers is an integer, so the floor forbids nothing that the real bound allows. Privacy
 * does not rest on this arithmetic: whatever it returns is enforced by drawing again, and is what is accounted for.
 *
 * @throws ParameterError `privacy.bad-rounding`
 */
export function roundingBound(request: RoundingRequest): RoundingBound {
  const { clip, scale, dimension, beta = DEFAULT_ROUNDING_BETA } = request;
  for (const [name, value] of Object.entries({ clip, scale })) {
    if (!(value > 0 && Number.isFinite(value))) {
      throw badRounding(`${name} is ${value}; it must be finite and above 0`);
    }
  }
  if (!Number.isSafeInteger(dimension) || dimension < 1) {
    throw badRounding(`dimension is ${dimension}; it must be an integer, 1 or more`);
  }
  if (!(beta > 0 && beta < 1)) {
    throw badRounding(`beta is ${beta}; it must lie between 0 and 1`);
  }
  const quanta = clip / scale;
  const root = Math.sqrt(dimension);
  const always = (quanta + root) ** 2;
  const likely = quanta * quanta + dimension / 4 + Math.sqrt(2 * Math.log(1 / beta)) * (quanta + root / 2);
  // Doubles err by a few parts in 2^52, and an integer bound must not fall below itself for that.
  const l2Squared = Math.floor(Math.min(always, likely) * (1 + 2 ** -48));
  if (!Number.isSafeInteger(l2Squared)) {
    throw badRounding(`a clip of ${clip} is more than 2^26 quanta of ${scale}; use a larger scale`);
  }
  // Only where nothing at all rounds beyond the clip can the bound be 0, and a release needs one quantum.
  return { l2Squared: Math.max(1, l2Squared), acceptance: always <= likely ? 1 : 1 - beta };
}

function badRounding(detail: string): ParameterError {
  return new ParameterError('privacy.bad-rounding', `Rounding cannot be bounded: ${detail}.`);
}
