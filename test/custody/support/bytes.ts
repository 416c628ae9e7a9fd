/** Recognizable byte strings. */
import { createHash } from 'node:crypto';

/** 32 bytes that stand for `name`. */
export function bytes32(name: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(name).digest());
}

/** `bytes` with the lowest bit of one byte flipped. */
export function withBitFlipped(bytes: Uint8Array, index: number): Uint8Array {
  const changed = Uint8Array.from(bytes);
  changed[index] = (changed[index] ?? 0) ^ 1;
  return changed;
}
