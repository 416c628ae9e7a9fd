/** Key material that does not print itself. */
import { inspect } from 'node:util';
import { ParameterError } from '../errors.js';

const REDACTED = '[secret]';

/**
 * Wraps secret bytes so that logging, string conversion, JSON and cloning never show them.
 *
 * `wipe` zeroes this one array. JavaScript may hold other copies (base64 strings, copies made by the
 * garbage collector or by a library), so wiping shortens exposure and promises nothing more.
 */
export class SecretBytes {
  readonly #bytes: Uint8Array;
  #wiped = false;

  /** Takes `bytes` over without copying: the caller must not use or keep them. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** `sizeBytes` bytes from the operating system's generator. */
  static random(sizeBytes: number): SecretBytes {
    return new SecretBytes(crypto.getRandomValues(new Uint8Array(sizeBytes)));
  }

  get sizeBytes(): number {
    return this.#bytes.length;
  }

  /**
   * Lends the bytes to `read`, which must neither change them nor keep them after it returns.
   *
   * @throws ParameterError `key.wiped` after `wipe`
   */
  use<T>(read: (bytes: Uint8Array) => T): T {
    // Zeroes are a valid seed: using them silently would make a key that everybody knows.
    if (this.#wiped) {
      throw new ParameterError('key.wiped', 'This key was wiped from memory; read its key file again.');
    }
    return read(this.#bytes);
  }

  wipe(): void {
    this.#wiped = true;
    this.#bytes.fill(0);
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}
