/**
 * A secret together with a digest of whose it is and what for: what is wrapped. A wrapper knows nothing of keys, and some
 * bind no context at all, so that the file of one key would unwrap as another's.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { VerificationError } from '../../errors.js';
import { encodeFields } from '../fields.js';
import { SecretBytes } from '../secret-bytes.js';

export interface SecretBinding {
  readonly fleet: string;
  readonly role: string;
  readonly id: string;
  readonly name: string;
  readonly purpose: string;
}

const DIGEST_BYTES = 32;

function digestOf({ fleet, role, id, name, purpose }: SecretBinding): Uint8Array {
  const fields = encodeFields('tensorguard-native v1 wrapped key', [
    ['fleet', fleet],
    ['role', role],
    ['id', id],
    ['key', name],
    ['purpose', purpose],
  ]);
  return createHash('sha256').update(fields).digest();
}

/** digest (32 bytes) || secret. */
export function bindSecret(binding: SecretBinding, secret: SecretBytes): SecretBytes {
  const bound = new Uint8Array(DIGEST_BYTES + secret.sizeBytes);
  bound.set(digestOf(binding));
  secret.use((bytes) => bound.set(bytes, DIGEST_BYTES));
  return new SecretBytes(bound);
}

/** @throws VerificationError `key.wrong-secret` where it was bound to something else */
export function unbindSecret(binding: SecretBinding, bound: SecretBytes): SecretBytes {
  return bound.use((bytes) => {
    const digest = digestOf(binding);
    if (
      bytes.length <= DIGEST_BYTES ||
      !timingSafeEqual(digest, Uint8Array.from(bytes.subarray(0, DIGEST_BYTES)))
    ) {
      throw new VerificationError(
        'key.wrong-secret',
        `What was unwrapped for key "${binding.name}" is not that key: files were exchanged or changed. Restore them.`,
      );
    }
    return new SecretBytes(Uint8Array.from(bytes.subarray(DIGEST_BYTES)));
  });
}
