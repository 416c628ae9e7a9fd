/** The parameter sets of the scheme (docs/protocol.md section 1): ring dimension, modulus, error. */

export const PARAMETER_SET_NAMES = ['lwe-192', 'lwe-128'] as const;

/** `lwe-192` is the default; the number is the security level by the HomomorphicEncryption.org standard. */
export type ParameterSetName = (typeof PARAMETER_SET_NAMES)[number];

export interface ParameterSet {
  readonly name: ParameterSetName;
  /** What the native kernels call this set. */
  readonly nativeId: 0 | 1;
  /** Ring dimension: coefficients of one ring element; a power of two. */
  readonly n: number;
  /** Ciphertext modulus: a prime, 1 mod 2n. */
  readonly q: number;
  /** ceil(log2 q): the bits of one residue. */
  readonly modulusBits: number;
  /** Variance of one coefficient of a secret or an error: the sum of four TUniform(2), 5.5 each. */
  readonly errorVariance: number;
  /** sqrt(errorVariance). */
  readonly errorStandardDeviation: number;
  /** Largest absolute value of one coefficient of a secret or an error. */
  readonly errorBound: number;
  /** Widest wire width k: floor(log2 q) - 1. */
  readonly maxWireBits: number;
}

const SMALL_DISTRIBUTION = {
  errorVariance: 22,
  errorStandardDeviation: Math.sqrt(22),
  errorBound: 16,
} as const;

const PARAMETER_SETS: Readonly<Record<ParameterSetName, ParameterSet>> = Object.freeze({
  'lwe-192': Object.freeze({
    name: 'lwe-192',
    nativeId: 0,
    n: 2048,
    q: 1073692673,
    modulusBits: 30,
    maxWireBits: 28,
    ...SMALL_DISTRIBUTION,
  }),
  'lwe-128': Object.freeze({
    name: 'lwe-128',
    nativeId: 1,
    n: 1024,
    q: 67104769,
    modulusBits: 26,
    maxWireBits: 24,
    ...SMALL_DISTRIBUTION,
  }),
});

/** The numbers of a parameter set; the object is frozen and shared. */
export function parameterSet(name: ParameterSetName): ParameterSet {
  return PARAMETER_SETS[name];
}
