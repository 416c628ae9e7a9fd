/** Secrets that stand for names, and their content for comparison. */
import { SecretBytes } from '../../../../lib/custody/secret-bytes.js';
import { bytes32 } from '../../support/bytes.js';

/** 32 bytes that stand for `name`. */
export function secretOf(name: string): SecretBytes {
  return new SecretBytes(bytes32(name));
}

/** In hex. */
export function contentOf(secret: SecretBytes): string {
  return secret.use((bytes) => Buffer.from(bytes).toString('hex'));
}
