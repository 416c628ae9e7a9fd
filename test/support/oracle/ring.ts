/**
 * The rings of docs/protocol.md section 1, by definition: a transform is an evaluation at every root, a product
 * is schoolbook. Slow and simple; it shares no code with lib/ or native/.
 */

export interface OracleRing {
  readonly name: 'lwe-192' | 'lwe-128';
  readonly nativeId: number;
  readonly n: number;
  readonly q: number;
  /** ceil(log2 q). */
  readonly modulusBits: number;
  /** floor(log2 q) - 1. */
  readonly maxWireBits: number;
}

export const LWE_192: OracleRing = {
  name: 'lwe-192',
  nativeId: 0,
  n: 2048,
  q: 1073692673,
  modulusBits: 30,
  maxWireBits: 28,
};

export const LWE_128: OracleRing = {
  name: 'lwe-128',
  nativeId: 1,
  n: 1024,
  q: 67104769,
  modulusBits: 26,
  maxWireBits: 24,
};

export const RINGS: readonly OracleRing[] = [LWE_192, LWE_128];

export function mod(x: number, modulus: number): number {
  return ((x % modulus) + modulus) % modulus;
}

/** The residue in (-q/2, q/2] that is congruent to x. */
export function centred(x: number, modulus: number): number {
  const residue = mod(x, modulus);
  return residue > modulus / 2 ? residue - modulus : residue;
}

export function multiplyMod(a: number, b: number, q: number): number {
  return Number((BigInt(a) * BigInt(b)) % BigInt(q));
}

export function powerMod(base: number, exponent: number, q: number): number {
  let result = 1;
  for (
    let i = exponent, square = base;
    i > 0;
    i = Math.floor(i / 2), square = multiplyMod(square, square, q)
  ) {
    if (i % 2 === 1) result = multiplyMod(result, square, q);
  }
  return result;
}

export function inverseMod(a: number, q: number): number {
  return powerMod(a, q - 2, q);
}

/** The smallest primitive 2n-th root of unity: the smallest x > 1 of the odd powers of any one of them. */
export function smallestPrimitiveRoot(n: number, q: number): number {
  let base = 2;
  while (powerMod(powerMod(base, (q - 1) / (2 * n), q), n, q) !== q - 1) base += 1;
  const root = powerMod(base, (q - 1) / (2 * n), q);
  const square = multiplyMod(root, root, q);
  let smallest = root;
  for (let i = 1, power = root; i < n; i += 1) {
    power = multiplyMod(power, square, q);
    smallest = Math.min(smallest, power);
  }
  return smallest;
}

export function reverseBits(value: number, bits: number): number {
  let reversed = 0;
  for (let i = 0; i < bits; i += 1) reversed = reversed * 2 + (Math.floor(value / 2 ** i) % 2);
  return reversed;
}

const powersOfPsi = new Map<number, Float64Array>();

/** psi^i mod q for i in [0, 2n). */
function psiPowers(ring: OracleRing): Float64Array {
  const known = powersOfPsi.get(ring.q);
  if (known) return known;
  const powers = new Float64Array(2 * ring.n);
  const psi = smallestPrimitiveRoot(ring.n, ring.q);
  for (let i = 0, power = 1; i < powers.length; i += 1, power = multiplyMod(power, psi, ring.q))
    powers[i] = power;
  powersOfPsi.set(ring.q, powers);
  return powers;
}

/** sum over i of values[i] * psi^(step * i + ...), exactly: `exponent(i)` gives the power of psi. */
function weightedSum(ring: OracleRing, values: Uint32Array, exponent: (i: number) => number): number {
  const powers = psiPowers(ring);
  let low = 0;
  let high = 0;
  for (let i = 0; i < values.length; i += 1) {
    const weight = powers[exponent(i)] as number;
    const upper = Math.floor(weight / 32768);
    // Halves of 15 bits times words below 2^30: 128 products of 45 bits stay below 2^53.
    low += (values[i] as number) * (weight - upper * 32768);
    high += (values[i] as number) * upper;
    if (i % 128 === 127) {
      low %= ring.q;
      high %= ring.q;
    }
  }
  return ((high % ring.q) * 32768 + (low % ring.q)) % ring.q;
}

/** The root that entry `i` of the NTT domain belongs to, as a power of psi: 2 brv(i) + 1. */
export function rootExponent(ring: OracleRing, i: number): number {
  return 2 * reverseBits(i, Math.log2(ring.n)) + 1;
}

/** A[i] = a(psi^(2 brv(i) + 1)). */
export function evaluateAt(ring: OracleRing, polynomial: Uint32Array, i: number): number {
  const root = rootExponent(ring, i);
  return weightedSum(ring, polynomial, (j) => (root * j) % (2 * ring.n));
}

export function toNttDomain(ring: OracleRing, polynomial: Uint32Array): Uint32Array {
  return Uint32Array.from({ length: ring.n }, (_, i) => evaluateAt(ring, polynomial, i));
}

/** Interpolation: a_i = 1/n * sum over j of A[j] psi^(-(2 brv(j) + 1) i). */
export function fromNttDomain(ring: OracleRing, evaluations: Uint32Array): Uint32Array {
  const roots = Array.from({ length: ring.n }, (_, j) => rootExponent(ring, j));
  const inverseOfN = inverseMod(ring.n, ring.q);
  return Uint32Array.from({ length: ring.n }, (_, i) =>
    multiplyMod(
      weightedSum(ring, evaluations, (j) => mod(-(roots[j] as number) * i, 2 * ring.n)),
      inverseOfN,
      ring.q,
    ),
  );
}

/** a * b mod (X^n + 1, q), schoolbook in BigInt, for any n = a.length. */
export function negacyclicProduct(q: number, a: ArrayLike<number>, b: ArrayLike<number>): Uint32Array {
  const n = a.length;
  const bigB = Array.from({ length: n }, (_, j) => BigInt(b[j] as number));
  const product = new Array<bigint>(n).fill(0n);
  for (let i = 0; i < n; i += 1) {
    const factor = BigInt(a[i] as number);
    if (factor === 0n) continue;
    for (let j = 0; j < n; j += 1) {
      const term = factor * (bigB[j] as bigint);
      const at = (i + j) % n;
      product[at] = (product[at] as bigint) + (i + j < n ? term : -term);
    }
  }
  const modulus = BigInt(q);
  return Uint32Array.from(product, (x) => Number(((x % modulus) + modulus) % modulus));
}

/**
 * a * s mod (X^n + 1, q) for words a and a small s (a secret, or a sum of secrets), schoolbook: with
 * |s_i| <= bound, sums are below n * q * bound and must stay below 2^53.
 */
export function smallProduct(ring: OracleRing, a: Uint32Array, small: Int32Array): Uint32Array {
  const bound = small.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
  if (ring.n * ring.q * bound >= 2 ** 53)
    throw new RangeError(`secret sums up to ${bound} are not exact here`);
  const product = new Float64Array(ring.n);
  for (let i = 0; i < ring.n; i += 1) {
    const factor = small[i] as number;
    for (let j = 0; j < ring.n - i; j += 1)
      product[i + j] = (product[i + j] as number) + factor * (a[j] as number);
    for (let j = ring.n - i; j < ring.n; j += 1) {
      product[i + j - ring.n] = (product[i + j - ring.n] as number) - factor * (a[j] as number);
    }
  }
  return Uint32Array.from(product, (x) => mod(x, ring.q));
}
