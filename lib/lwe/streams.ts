/** Keys of the ChaCha20 streams, and the digest that hedges them (docs/protocol.md section 2). */
import { createCipheriv, hkdfSync } from 'node:crypto';
import { ParameterError } from '../errors.js';
import type { ParameterSetName } from './parameters.js';

const PROTOCOL_LABEL = 'tensorguard-native v1';
const KEY_BYTES = 32;
const FINGERPRINT_BYTES = 32;
// setAAD takes a length that fits an int; pieces of this size keep far below it and give the same tag.
const DIGEST_PIECE_BYTES = 1 << 24;

/** What a stream is for; the label that keeps streams of one key material apart. */
export type StreamPurpose =
  | 'public mask'
  | 'hadamard signs'
  | 'subsample'
  | 'secret'
  | 'error'
  | 'secret seed'
  | `share ${number}`
  | 'share expansion';

function requireBytes(name: string, bytes: Uint8Array, expectedBytes: number): void {
  if (bytes.byteLength !== expectedBytes) {
    throw new ParameterError(
      'stream.wrong-length',
      `${name} has ${bytes.byteLength} bytes; it must have ${expectedBytes}.`,
    );
  }
}

/**
 * The 32-byte key of one stream: HKDF-SHA256 (RFC 5869) of `ikm` with an empty salt, under a label that names
 * purpose, parameter set and plan, so that no two streams of a round, nor of two rounds, share a key.
 *
 * @param ikm key material; which one belongs to which purpose is the table in docs/protocol.md section 2
 * @param planFingerprint 32 bytes
 * @throws ParameterError `stream.wrong-length` for another length of the fingerprint
 */
export function streamKey(
  ikm: Uint8Array,
  purpose: StreamPurpose,
  parameterSet: ParameterSetName,
  planFingerprint: Uint8Array,
): Uint8Array {
  requireBytes('The plan fingerprint', planFingerprint, FINGERPRINT_BYTES);
  const label = Buffer.from(`${PROTOCOL_LABEL}\0${purpose}\0${parameterSet}\0`, 'ascii');
  return new Uint8Array(hkdfSync('sha256', ikm, '', Buffer.concat([label, planFingerprint]), KEY_BYTES));
}

/**
 * The 32-byte key of the public ring elements that every client of a round shares.
 *
 * @param planSeed the plan's public 32-byte seed
 * @throws ParameterError `stream.wrong-length`
 */
export function maskKey(
  planSeed: Uint8Array,
  parameterSet: ParameterSetName,
  planFingerprint: Uint8Array,
): Uint8Array {
  return publicKey(planSeed, 'public mask', parameterSet, planFingerprint);
}

/**
 * The 32-byte key of the signs before the Hadamard transform, public and common to a round's clients.
 *
 * @param planSeed the plan's public 32-byte seed
 * @throws ParameterError `stream.wrong-length`
 */
export function signKey(
  planSeed: Uint8Array,
  parameterSet: ParameterSetName,
  planFingerprint: Uint8Array,
): Uint8Array {
  return publicKey(planSeed, 'hadamard signs', parameterSet, planFingerprint);
}

/**
 * The 32-byte key of the choice of coordinates that are sent, public and common to a round's clients.
 *
 * @param planSeed the plan's public 32-byte seed
 * @throws ParameterError `stream.wrong-length`
 */
export function sampleKey(
  planSeed: Uint8Array,
  parameterSet: ParameterSetName,
  planFingerprint: Uint8Array,
): Uint8Array {
  return publicKey(planSeed, 'subsample', parameterSet, planFingerprint);
}

function publicKey(
  planSeed: Uint8Array,
  purpose: StreamPurpose,
  parameterSet: ParameterSetName,
  planFingerprint: Uint8Array,
): Uint8Array {
  requireBytes('The plan seed', planSeed, KEY_BYTES);
  return streamKey(planSeed, purpose, parameterSet, planFingerprint);
}

/**
 * A 16-byte keyed digest of a message, for hedging: GMAC (AES-256-GCM with nothing to encrypt) over the
 * little-endian bytes of `values`. One nonce serves because the digest never leaves the client: nobody sees
 * two tags to solve for the key. GMAC rather than a hash because it runs at memory speed.
 *
 * @param prfKey the client's 32-byte PRF key
 * @throws ParameterError `stream.wrong-length`
 */
export function messageDigest(prfKey: Uint8Array, values: Int32Array | Float32Array): Uint8Array {
  requireBytes('The PRF key', prfKey, KEY_BYTES);
  const key = new Uint8Array(hkdfSync('sha256', prfKey, '', `${PROTOCOL_LABEL} message digest`, KEY_BYTES));
  const gmac = createCipheriv('aes-256-gcm', key, new Uint8Array(12), { authTagLength: 16 });
  // Every platform with prebuilt kernels is little-endian, so the array's memory is its encoding.
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  for (let begin = 0; begin < bytes.byteLength; begin += DIGEST_PIECE_BYTES) {
    gmac.setAAD(bytes.subarray(begin, begin + DIGEST_PIECE_BYTES));
  }
  gmac.final();
  key.fill(0);
  return new Uint8Array(gmac.getAuthTag());
}
