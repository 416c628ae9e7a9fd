/** Rounding on the way to the wire and back (docs/protocol.md sections 5 and 6), for any q, toy ones included. */
import { mod } from './ring.js';

/** round(q * m / 2^p), half up. */
export function encodeMessage(q: number, plaintextBits: number, message: number): number {
  const p = BigInt(plaintextBits);
  return Number((BigInt(q) * BigInt(message) + (1n << (p - 1n))) >> p);
}

/** round(c * 2^k / q) mod 2^k; q odd, so that there are no ties. */
export function switchModulus(q: number, wireBits: number, c: number): number {
  const k = BigInt(wireBits);
  return Number(((BigInt(c) << k) + BigInt((q - 1) / 2)) / BigInt(q)) % 2 ** wireBits;
}

export interface DecodedCoefficient {
  /** In [0, 2^p). */
  readonly message: number;
  /** In [-2^(k-p-1), 2^(k-p-1)); the lower end is a failure. */
  readonly residual: number;
}

/** The message nearest to wire value `d`, and how far off it was. */
export function decodeWire(wireBits: number, plaintextBits: number, d: number): DecodedCoefficient {
  const step = 2 ** (wireBits - plaintextBits);
  const nearest = Math.floor((d + step / 2) / step);
  return { message: mod(nearest, 2 ** plaintextBits), residual: d - nearest * step };
}
