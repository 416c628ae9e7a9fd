/** Keys, keystreams and samples of docs/protocol.md section 2, from Node's own HKDF and ChaCha20. */
import { createCipheriv, hkdfSync } from 'node:crypto';
import type { OracleRing } from './ring.js';

/** HKDF-SHA256 under the protocol's label. */
export function deriveKey(
  ikm: Uint8Array,
  purpose: string,
  ring: Pick<OracleRing, 'name'>,
  planFingerprint: Uint8Array,
): Uint8Array {
  const zero = Buffer.from([0]);
  const info = Buffer.concat([
    Buffer.from('tensorguard-native v1'),
    zero,
    Buffer.from(purpose),
    zero,
    Buffer.from(ring.name),
    zero,
    planFingerprint,
  ]);
  return Buffer.from(hkdfSync('sha256', ikm, Buffer.alloc(0), info, 32));
}

/** The first `words` keystream words of ring element `element`. */
export function keystream(key: Uint8Array, element: number, words: number): Uint32Array {
  // Node's initial value: block counter (4 bytes), then the RFC's nonce (12 bytes), both little-endian.
  const initial = Buffer.alloc(16);
  initial.writeBigUInt64LE(BigInt(element), 4);
  const bytes = createCipheriv('chacha20', key, initial).update(Buffer.alloc(4 * words));
  const stream = new Uint32Array(words);
  for (let i = 0; i < words; i += 1) stream[i] = bytes.readUInt32LE(4 * i);
  return stream;
}

/** n words uniform in [0, q): masked words of the stream, those >= q skipped. */
export function uniformElement(ring: OracleRing, key: Uint8Array, element: number): Uint32Array {
  // Rejection is rarer than 1 in 1000; twice the words always suffice, or the loop below says so.
  const accepted: number[] = [];
  for (const word of keystream(key, element, 2 * ring.n)) {
    const candidate = word % 2 ** ring.modulusBits;
    if (candidate < ring.q) accepted.push(candidate);
    if (accepted.length === ring.n) return Uint32Array.from(accepted);
  }
  throw new Error('the stream was rejected more often than a uniform one ever is');
}

/** One coefficient from 16 bits: the sum of four TUniform(2). */
export function smallCoefficient(bits: number): number {
  let sum = 0;
  for (let nibble = 0; nibble < 4; nibble += 1)
    sum += Math.floor(((Math.floor(bits / 16 ** nibble) % 16) + 1) / 2);
  return sum - 16;
}

/** n coefficients in -16..16: low halves of the words first, high halves after. */
export function smallElement(ring: OracleRing, key: Uint8Array, element: number): Int32Array {
  const words = keystream(key, element, ring.n / 2);
  return Int32Array.from({ length: ring.n }, (_, i) =>
    i < ring.n / 2
      ? smallCoefficient((words[i] as number) % 65536)
      : smallCoefficient(Math.floor((words[i - ring.n / 2] as number) / 65536)),
  );
}
