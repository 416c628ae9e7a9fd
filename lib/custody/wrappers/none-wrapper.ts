/** No wrapping: the file's mode alone protects the key. For trying things out. */
import { z } from 'zod';
import { FormatError } from '../../errors.js';
import { SecretBytes } from '../secret-bytes.js';
import {
  closedWrapper,
  type KeyWrapper,
  MAX_SECRET_BYTES,
  requireSecretSize,
  type WrapperDescription,
} from './key-wrapper.js';

export const noneConfigSchema = z.strictObject({ kind: z.literal('none') });

/** The wrapped key is the secret itself. */
export class NoneWrapper implements KeyWrapper {
  #closed = false;

  describe(): WrapperDescription {
    return { kind: 'none', id: 'none', detail: {} };
  }

  async wrap(secret: SecretBytes): Promise<Uint8Array> {
    if (this.#closed) throw closedWrapper();
    requireSecretSize(secret.sizeBytes);
    return secret.use((bytes) => Uint8Array.from(bytes));
  }

  async unwrap(wrapped: Uint8Array): Promise<SecretBytes> {
    if (this.#closed) throw closedWrapper();
    if (wrapped.length < 1 || wrapped.length > MAX_SECRET_BYTES) {
      throw new FormatError(
        'wrapper.malformed',
        `A key that is not wrapped has 1 to ${MAX_SECRET_BYTES} bytes, and this has ${wrapped.length}. Restore its file.`,
      );
    }
    return new SecretBytes(Uint8Array.from(wrapped));
  }

  async close(): Promise<void> {
    this.#closed = true;
  }
}
