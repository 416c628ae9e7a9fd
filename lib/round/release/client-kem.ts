/** The key of a client that a release was sealed to. */
import { sameBytes } from '../../custody/fields.js';
import type { KeyStore } from '../../custody/keys/key-store.js';
import { kemDigest } from '../../custody/release/wraps.js';
import type { SecretBytes } from '../../custody/secret-bytes.js';
import { RefusedError } from '../../errors.js';

/**
 * @param digest SHA-256 of its public key, 32 bytes
 * @param what it is needed for, for the audit trail
 * @returns its secret, which the caller wipes
 * @throws RefusedError `release.unknown-key`, `key.*`
 */
export async function kemWithDigest(store: KeyStore, digest: Uint8Array, what: string): Promise<SecretBytes> {
  const key = store.keys().find(({ publicKey }) => publicKey && sameBytes(kemDigest(publicKey), digest));
  if (key !== undefined) return store.kem(key.name, what);
  throw new RefusedError(
    'release.unknown-key',
    `This is sealed to a key that client "${store.id}" does not hold: ${what}. It was enrolled with other keys than those in ` +
      `${store.directory}. Enrol it again, and ask the owner for the next release.`,
  );
}
