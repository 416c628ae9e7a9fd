/** What names a file and a set of files. */
import { FormatError } from '../errors.js';
import { sha256 } from './digests.js';

export const FINGERPRINT_BYTES = 32;

const SET_LABEL = Buffer.from('tensorguard-native v1 set\0', 'latin1');

/** SHA-256 of the header. The header holds every section's digests, so it covers the file's content. */
export function fingerprintOf(headerBytes: Uint8Array): Uint8Array {
  return sha256(headerBytes);
}

/** Bytewise order, as `Array.prototype.sort` wants it. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

/** Whether each item is greater than the one before: sorted, and no two the same. */
export function isStrictlyAscending(items: readonly Uint8Array[]): boolean {
  return items.every((item, i) => i === 0 || compareBytes(items[i - 1] as Uint8Array, item) < 0);
}

/**
 * The digest that names the set of updates a round opens, whatever order they come in:
 * SHA-256(label || 0x00 || u32 LE count || fingerprints in bytewise order).
 *
 * @param updateFingerprints 32 bytes each, at least one
 * @throws FormatError `set.bad-fingerprint`, `set.duplicate` (an update counted twice would give the
 *   difference of two sums, and with it that update), `set.empty`
 */
export function setDigest(updateFingerprints: readonly Uint8Array[]): Uint8Array {
  if (updateFingerprints.length === 0) throw new FormatError('set.empty', 'a set needs at least one update');
  if (updateFingerprints.some((f) => f.length !== FINGERPRINT_BYTES)) {
    throw new FormatError('set.bad-fingerprint', `each fingerprint must have ${FINGERPRINT_BYTES} bytes`);
  }
  const sorted = [...updateFingerprints].sort(compareBytes);
  if (!isStrictlyAscending(sorted)) {
    throw new FormatError('set.duplicate', 'the same update stands in the set twice; list each one once');
  }
  const count = Buffer.alloc(4);
  count.writeUInt32LE(sorted.length);
  return sha256(SET_LABEL, count, ...sorted);
}
