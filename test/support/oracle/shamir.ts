/** Shamir sharing over Z_q, coefficientwise (docs/protocol.md section 7). */
import { bitStream, readBitStream } from './packing.js';
import { inverseMod, mod, multiplyMod, type OracleRing } from './ring.js';
import { deriveKey, smallElement, uniformElement } from './streams.js';

/** The Lagrange coefficients at `at` of the points with these x coordinates. */
export function lagrange(q: number, points: readonly number[], at: number): number[] {
  return points.map((own, i) =>
    points.reduce((product, other, j) => {
      if (i === j) return product;
      const fraction = multiplyMod(mod(at - other, q), inverseMod(mod(own - other, q), q), q);
      return multiplyMod(product, fraction, q);
    }, 1),
  );
}

/** The value at `at` of the polynomial through (points[i], rows[i]), coefficient by coefficient. */
export function interpolate(
  q: number,
  points: readonly number[],
  rows: readonly Uint32Array[],
  at: number,
): Uint32Array {
  const weights = lagrange(q, points, at);
  const length = (rows[0] as Uint32Array).length;
  return Uint32Array.from({ length }, (_, c) =>
    weights.reduce(
      (sum, weight, i) => (sum + multiplyMod(weight, (rows[i] as Uint32Array)[c] as number, q)) % q,
      0,
    ),
  );
}

/** The secret's residues mod q from its 32-byte seed. */
export function secretFromSeed(
  ring: OracleRing,
  secretSeed: Uint8Array,
  planFingerprint: Uint8Array,
): Int32Array {
  return smallElement(ring, deriveKey(secretSeed, 'secret', ring, planFingerprint), 0);
}

/** The shares of custodians 1..n as they are sealed to them. */
export function dealShares(
  ring: OracleRing,
  hedge: Uint8Array,
  planFingerprint: Uint8Array,
  threshold: number,
  custodians: number,
): Uint8Array[] {
  const secretSeed = deriveKey(hedge, 'secret seed', ring, planFingerprint);
  if (threshold === 1) return Array.from({ length: custodians }, () => secretSeed);
  const secret = Uint32Array.from(secretFromSeed(ring, secretSeed, planFingerprint), (x) => mod(x, ring.q));
  const seeds = Array.from({ length: threshold - 1 }, (_, i) =>
    deriveKey(hedge, `share ${i + 1}`, ring, planFingerprint),
  );
  const rows = [secret, ...seeds.map((seed) => expandShareSeed(ring, seed, planFingerprint))];
  const points = rows.map((_, i) => i);
  return Array.from({ length: custodians }, (_, i) => {
    const seed = seeds[i];
    return seed ?? bitStream(interpolate(ring.q, points, rows, i + 1), ring.modulusBits);
  });
}

function expandShareSeed(ring: OracleRing, seed: Uint8Array, planFingerprint: Uint8Array): Uint32Array {
  return uniformElement(ring, deriveKey(seed, 'share expansion', ring, planFingerprint), 0);
}

/** What the share of custodian `index` stands for: n residues mod q. */
export function expandShare(
  ring: OracleRing,
  planFingerprint: Uint8Array,
  threshold: number,
  index: number,
  share: Uint8Array,
): Uint32Array {
  if (threshold === 1) {
    return Uint32Array.from(secretFromSeed(ring, share, planFingerprint), (x) => mod(x, ring.q));
  }
  if (index < threshold) return expandShareSeed(ring, share, planFingerprint);
  return readBitStream(share, ring.modulusBits, ring.n);
}
