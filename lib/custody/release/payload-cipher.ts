/**
 * The encryption of a release's content: AES-256-GCM in segments, so that a file larger than memory streams and yet
 * no byte is used that was not authenticated.
 *
 * The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizar: "Online Authenticated-Encryption and its Nonce-Reuse
 * Misuse-Resistance", CRYPTO 2015): the nonce of segment i is `prefix (7 bytes) || i (4 bytes, big-endian) || last
 * (1 byte)`. A segment in another place does not open, for its number; what was cut does not, since only the last one
 * carries the flag. A content key encrypts one release, so that no nonce occurs twice under it.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { ParameterError, VerificationError } from '../../errors.js';
import {
  RELEASE_NONCE_PREFIX_BYTES,
  RELEASE_SEGMENT_BYTES,
  RELEASE_TAG_BYTES,
  segmentCount,
} from '../../package/messages/release.js';
import { encodeFields } from '../fields.js';
import type { SecretBytes } from '../secret-bytes.js';

export const CONTENT_KEY_BYTES = 32;

/** Bytes of plaintext in every segment but the last. */
export const SEGMENT_PLAINTEXT_BYTES = RELEASE_SEGMENT_BYTES - RELEASE_TAG_BYTES;

const ALGORITHM = 'aes-256-gcm';

/** Which release a content belongs to: what every segment is bound to. */
export interface ReleaseName {
  readonly fleet: string;
  readonly policy: string;
  readonly counter: number;
}

export interface PayloadCipher {
  /** 32 bytes, of this one release. */
  readonly key: SecretBytes;
  /** 7 bytes. */
  readonly noncePrefix: Uint8Array;
  readonly release: ReleaseName;
  /** Length of the whole plaintext, at least 1. */
  readonly plaintextBytes: number;
}

interface Segment {
  readonly nonce: Uint8Array;
  readonly aad: Uint8Array;
}

function segmentOf({ noncePrefix, release, plaintextBytes }: PayloadCipher, index: number): Segment {
  const nonce = new Uint8Array(RELEASE_NONCE_PREFIX_BYTES + 5);
  nonce.set(noncePrefix);
  new DataView(nonce.buffer).setUint32(RELEASE_NONCE_PREFIX_BYTES, index);
  nonce[nonce.length - 1] = index === segmentCount(plaintextBytes) - 1 ? 1 : 0;
  const aad = encodeFields('tensorguard-native v1 release payload', [
    ['fleet', release.fleet],
    ['policy', release.policy],
    ['counter', release.counter],
  ]);
  return { nonce, aad };
}

function sealSegment(cipher: PayloadCipher, index: number, plaintext: Uint8Array): Uint8Array {
  const { nonce, aad } = segmentOf(cipher, index);
  const encryption = cipher.key.use((key) => createCipheriv(ALGORITHM, key, nonce));
  encryption.setAAD(aad);
  const ciphertext = encryption.update(plaintext);
  encryption.final();
  return Buffer.concat([ciphertext, encryption.getAuthTag()]);
}

function openSegment(cipher: PayloadCipher, index: number, sealed: Uint8Array): Uint8Array {
  if (sealed.length <= RELEASE_TAG_BYTES) throw doesNotOpen(index);
  const { nonce, aad } = segmentOf(cipher, index);
  const decryption = cipher.key.use((key) =>
    createDecipheriv(ALGORITHM, key, nonce, { authTagLength: RELEASE_TAG_BYTES }),
  );
  decryption.setAAD(aad);
  decryption.setAuthTag(sealed.subarray(-RELEASE_TAG_BYTES));
  const plaintext = decryption.update(sealed.subarray(0, -RELEASE_TAG_BYTES));
  try {
    decryption.final();
  } catch {
    plaintext.fill(0);
    throw doesNotOpen(index);
  }
  return plaintext;
}

/** Pieces of any size as pieces of `sizeBytes`, the last one what is left. Holds one of them at a time. */
async function* regrouped(
  pieces: AsyncIterable<Uint8Array>,
  sizeBytes: number,
): AsyncGenerator<Uint8Array, void, void> {
  let group = new Uint8Array(sizeBytes);
  let filled = 0;
  for await (const piece of pieces) {
    for (let offset = 0; offset < piece.length; ) {
      const part = piece.subarray(offset, offset + sizeBytes - filled);
      group.set(part, filled);
      filled += part.length;
      offset += part.length;
      if (filled === sizeBytes) {
        yield group;
        group = new Uint8Array(sizeBytes);
        filled = 0;
      }
    }
  }
  if (filled > 0) yield group.subarray(0, filled);
}

/**
 * Encrypts a plaintext of exactly `plaintextBytes` bytes, whose pieces may have any size, a segment at a time. The same
 * plaintext gives the same bytes.
 *
 * @throws ParameterError `release.wrong-length` before the last segment, if the plaintext has another length
 */
export async function* sealPayload(
  cipher: PayloadCipher,
  plaintext: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  let remaining = cipher.plaintextBytes;
  let index = 0;
  for await (const group of regrouped(plaintext, SEGMENT_PLAINTEXT_BYTES)) {
    if (group.length !== Math.min(remaining, SEGMENT_PLAINTEXT_BYTES)) throw wrongLength(cipher);
    yield sealSegment(cipher, index, group);
    remaining -= group.length;
    index += 1;
  }
  if (remaining !== 0) throw wrongLength(cipher);
}

/**
 * Decrypts what `sealPayload` made under the same cipher, a segment at a time, each authenticated before it is yielded.
 * The plaintext is whole only when the iteration has come to its end.
 *
 * @param sealed its pieces may have any size
 * @throws VerificationError `release.content-broken` where a segment was changed, moved, cut, doubled or left out
 */
export async function* openPayload(
  cipher: PayloadCipher,
  sealed: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  const count = segmentCount(cipher.plaintextBytes);
  let index = 0;
  let openedBytes = 0;
  for await (const segment of regrouped(sealed, RELEASE_SEGMENT_BYTES)) {
    if (index >= count) throw doesNotOpen(index);
    const plaintext = openSegment(cipher, index, segment);
    openedBytes += plaintext.length;
    index += 1;
    yield plaintext;
  }
  if (openedBytes !== cipher.plaintextBytes) throw doesNotOpen(index);
}

function wrongLength(cipher: PayloadCipher): ParameterError {
  return new ParameterError(
    'release.wrong-length',
    `The content of a release was announced with ${cipher.plaintextBytes} bytes, and another number came.`,
  );
}

function doesNotOpen(index: number): VerificationError {
  return new VerificationError(
    'release.content-broken',
    `Segment ${index} of the release's content does not open: it was changed, moved or cut, or belongs to another ` +
      'release. Nothing was written. Fetch the release again, and if that does not help, tell the owner.',
  );
}
