/**
 * Key wrappers: what encrypts a role's private keys while they rest.
 *
 * A wrapper sees one small secret at a time and knows nothing of what it is for. Whoever calls it puts a digest of the
 * context in front of the secret and checks it after unwrapping; so a wrapped key put in another's place is found for
 * every kind of wrapper, also for those that cannot bind associated data.
 */
import { ParameterError, VerificationError } from '../../errors.js';
import type { SecretBytes } from '../secret-bytes.js';

/** The largest secret, in bytes. AWS KMS encrypts no more than this in one call, and no key here needs more. */
export const MAX_SECRET_BYTES = 4096;

/** The largest wrapped key that is read, in bytes. */
export const MAX_WRAPPED_BYTES = 64 * 1024;

export interface WrapperDescription {
  readonly kind: 'none' | 'passphrase' | 'pkcs11' | 'command';
  /**
   * Names the wrapping key, and stays the same for as long as that key is used. It is shown and stored beside each
   * wrapped key, and helps nobody to guess the wrapping key.
   */
  readonly id: string;
  /** Paths and labels for people to read. No secrets. */
  readonly detail: Readonly<Record<string, string>>;
}

export interface KeyWrapper {
  describe(): WrapperDescription;

  /**
   * Encrypts a secret of 1 to `MAX_SECRET_BYTES` bytes. The caller keeps the secret, and wipes it.
   *
   * @returns what `unwrap` opens, at most `MAX_WRAPPED_BYTES` bytes
   * @throws ParameterError `wrapper.secret-size`, `wrapper.closed`; EnvironmentError and RefusedError `wrapper.*`
   */
  wrap(secret: SecretBytes): Promise<Uint8Array>;

  /**
   * Gives back the secret, which the caller wipes.
   *
   * @throws VerificationError `wrapper.unwrap-failed` if it was wrapped with another key, or changed since
   * @throws FormatError `wrapper.malformed`; ParameterError `wrapper.closed`; EnvironmentError `wrapper.*`
   */
  unwrap(wrapped: Uint8Array): Promise<SecretBytes>;

  /** Wipes what the wrapper holds. Closing twice does nothing more; wrapping and unwrapping are refused afterwards. */
  close(): Promise<void>;
}

/** @throws ParameterError `wrapper.secret-size` */
export function requireSecretSize(sizeBytes: number): void {
  if (sizeBytes < 1 || sizeBytes > MAX_SECRET_BYTES) {
    throw new ParameterError(
      'wrapper.secret-size',
      `A secret of ${sizeBytes} bytes cannot be wrapped; it must have 1 to ${MAX_SECRET_BYTES}. Wrap keys, not data.`,
    );
  }
}

export function closedWrapper(): ParameterError {
  return new ParameterError('wrapper.closed', 'This key wrapper was closed; open it again.');
}

/** One error whether the key is wrong or the bytes are: a forger learns nothing from it, and no wrapper can tell. */
export function unwrapFailed(wrapperId: string, advice: string): VerificationError {
  return new VerificationError(
    'wrapper.unwrap-failed',
    `A wrapped key does not open with ${wrapperId}: it was wrapped with another key, or its file was changed. ${advice}`,
  );
}
