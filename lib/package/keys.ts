/** Public signing keys and the id that names them. */
import { z } from 'zod';
import { encodeCbor } from './cbor-encoding.js';
import { sha256 } from './digests.js';

/** In the order in which they stand in headers. */
export const SIGNATURE_ALGORITHMS = ['ed25519', 'ml-dsa-65'] as const;
export type SignatureAlgorithm = (typeof SIGNATURE_ALGORITHMS)[number];

/** RFC 8032 section 5.1; FIPS 204 table 2. */
export const PUBLIC_KEY_BYTES: Readonly<Record<SignatureAlgorithm, number>> = {
  ed25519: 32,
  'ml-dsa-65': 1952,
};
export const SIGNATURE_BYTES: Readonly<Record<SignatureAlgorithm, number>> = {
  ed25519: 64,
  'ml-dsa-65': 3309,
};
/** Both algorithms expand a 32-byte seed to their private key. */
export const SEED_BYTES = 32;

const KEY_ID_LABEL = Buffer.from('tensorguard-native v1 key id\0', 'latin1');

/** A byte string of exactly `length` bytes. */
export function bytesOf(length: number): z.ZodType<Uint8Array, Uint8Array> {
  return z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === length, {
    error: `must be a byte string of ${length} bytes`,
  });
}

/**
 * Ed25519 always; ML-DSA-65 beside it, never instead of it: the older one keeps the signature safe
 * should the newer one break, the newer one should a quantum computer come.
 */
export const publicKeysSchema = z.strictObject({
  ed25519: bytesOf(PUBLIC_KEY_BYTES.ed25519),
  'ml-dsa-65': bytesOf(PUBLIC_KEY_BYTES['ml-dsa-65']).optional(),
});

/** One signer's public keys: 32 bytes of Ed25519, and 1952 of ML-DSA-65 where it has one. */
export type PublicKeys = z.infer<typeof publicKeysSchema>;

/** Signature algorithms of one signature or one fleet: sorted, distinct, Ed25519 among them. */
export const algorithmsSchema = z
  .array(z.enum(SIGNATURE_ALGORITHMS))
  .min(1)
  .max(SIGNATURE_ALGORITHMS.length)
  .refine((algs) => algs.every((alg, i) => i === 0 || (algs[i - 1] as string) < alg), {
    error: 'must be sorted and without repetition',
  })
  .refine((algs) => algs.includes('ed25519'), { error: 'must include ed25519' });

/**
 * SHA-256(label || 0x00 || deterministic CBOR of the keys). It covers all of a signer's keys, so none
 * can be dropped or exchanged under the same id.
 */
export function keyIdOf(keys: PublicKeys): Uint8Array {
  return sha256(KEY_ID_LABEL, encodeCbor(keys));
}
