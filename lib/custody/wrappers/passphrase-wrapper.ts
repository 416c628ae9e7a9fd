/**
 * Keys wrapped with a passphrase: scrypt (RFC 7914), then AES-256-GCM.
 *
 * wrapped key = "TGWP" || version 1 || log2 N || r || p || salt (16) || nonce (12) || ciphertext || tag (16)
 *
 * The 36 bytes before the ciphertext are authenticated with it. The salt is the wrapper's, made once and kept in its
 * configuration, so that scrypt runs once however many keys are opened. Nonces are random: a role wraps some hundreds of
 * keys in its life, and NIST SP 800-38D allows 2^32 under one key.
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { resolve } from 'node:path';
import { z } from 'zod';
import { FormatError, ParameterError } from '../../errors.js';
import { SecretBytes } from '../secret-bytes.js';
import {
  closedWrapper,
  type KeyWrapper,
  MAX_SECRET_BYTES,
  requireSecretSize,
  unwrapFailed,
  type WrapperDescription,
} from './key-wrapper.js';
import { readSecretLine } from './private-file.js';

const MAGIC = Buffer.from('TGWP', 'latin1');
const VERSION = 1;
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SALT_OFFSET = 8;
const NONCE_OFFSET = SALT_OFFSET + SALT_BYTES;
const HEADER_BYTES = NONCE_OFFSET + NONCE_BYTES;
const KEY_BYTES = 32;

/** N = 2^17, r = 8, p = 1: 128 MiB and some 0.3 s a guess; OWASP's first choice for scrypt. */
const DEFAULT_LOG2_N = 17;
const BLOCK_SIZE = 8;
const PARALLELISM = 1;

/** A changed file must not make us allocate more than 256 MiB, which N = 2^18 takes. */
const MAX_LOG2_N = 18;
const MIN_LOG2_N = 10;

const PASSPHRASE_BYTES = { minBytes: 12, maxBytes: 1024 } as const;

export const passphraseConfigSchema = z.strictObject({
  kind: z.literal('passphrase'),
  passphraseFile: z.string().min(1).max(4096),
  /** 16 bytes in lower-case hex. */
  salt: z.string().regex(/^[0-9a-f]{32}$/),
});

export type PassphraseConfig = z.infer<typeof passphraseConfigSchema>;

export interface PassphraseOptions {
  /** The role's directory, against which a relative `passphraseFile` is resolved. */
  readonly directory: string;
  /** For tests: log2 of scrypt's N for new wrapped keys, 10 to 18. Anything below 17 makes guessing cheap. */
  readonly scryptLog2N?: number;
}

/** A configuration with a new random salt, for a passphrase file that need not exist yet. */
export function newPassphraseConfig(passphraseFile: string): PassphraseConfig {
  return { kind: 'passphrase', passphraseFile, salt: randomBytes(SALT_BYTES).toString('hex') };
}

export class PassphraseWrapper implements KeyWrapper {
  readonly #path: string;
  readonly #passphrase: SecretBytes;
  readonly #salt: Uint8Array;
  readonly #log2N: number;
  /** Derived once, from the wrapper's own salt and N. */
  #ownKey: Promise<SecretBytes> | undefined;
  #closed = false;

  private constructor(path: string, passphrase: SecretBytes, salt: Uint8Array, log2N: number) {
    this.#path = path;
    this.#passphrase = passphrase;
    this.#salt = salt;
    this.#log2N = log2N;
  }

  /**
   * Reads the passphrase; it is held until `close`.
   *
   * @throws RefusedError `wrapper.secret-length` if it has less than 12 or more than 1024 bytes
   * @throws RefusedError `wrapper.file-permissions`; EnvironmentError `wrapper.file-missing`,
   *   `wrapper.file-unreadable`; FormatError `wrapper.file-size`; ParameterError `wrapper.bad-scrypt`
   */
  static async open(config: PassphraseConfig, options: PassphraseOptions): Promise<PassphraseWrapper> {
    const log2N = options.scryptLog2N ?? DEFAULT_LOG2_N;
    if (!isAllowedLog2N(log2N)) {
      throw new ParameterError(
        'wrapper.bad-scrypt',
        `log2 of scrypt's N must be an integer from ${MIN_LOG2_N} to ${MAX_LOG2_N}, and is ${log2N}.`,
      );
    }
    const path = resolve(options.directory, config.passphraseFile);
    const passphrase = await readSecretLine(path, 'passphrase', PASSPHRASE_BYTES);
    return new PassphraseWrapper(path, passphrase, Buffer.from(config.salt, 'hex'), log2N);
  }

  describe(): WrapperDescription {
    // Of the salt, never of the passphrase: a digest of that would let anybody who sees the id try guesses cheaply.
    const id = `passphrase:${Buffer.from(this.#salt).toString('hex').slice(0, 16)}`;
    return { kind: 'passphrase', id, detail: { passphraseFile: this.#path } };
  }

  async wrap(secret: SecretBytes): Promise<Uint8Array> {
    requireSecretSize(secret.sizeBytes);
    const key = await this.#keyOf(this.#salt, this.#log2N);
    const header = this.#newHeader();
    return secret.use((bytes) => key.secret.use((keyBytes) => seal(keyBytes, header, bytes)));
  }

  async unwrap(wrapped: Uint8Array): Promise<SecretBytes> {
    const { salt, log2N } = parseHeader(wrapped);
    const key = await this.#keyOf(salt, log2N);
    try {
      const opened = key.secret.use((keyBytes) => open(keyBytes, wrapped));
      if (opened === undefined) {
        throw unwrapFailed(
          this.describe().id,
          `Check the passphrase in ${this.#path}, or restore the wrapped key.`,
        );
      }
      return opened;
    } finally {
      if (!key.shared) key.secret.wipe();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#passphrase.wipe();
    const ownKey = await this.#ownKey?.catch(() => undefined);
    ownKey?.wipe();
  }

  #newHeader(): Uint8Array {
    const parameters = Uint8Array.of(VERSION, this.#log2N, BLOCK_SIZE, PARALLELISM);
    return Buffer.concat([MAGIC, parameters, this.#salt, randomBytes(NONCE_BYTES)]);
  }

  /**
   * Only the wrapper's own key is kept. Others open keys wrapped under an earlier salt, which is rare, and a cache that
   * files fill would have no bound.
   */
  async #keyOf(
    salt: Uint8Array,
    log2N: number,
  ): Promise<{ readonly secret: SecretBytes; readonly shared: boolean }> {
    if (this.#closed) throw closedWrapper();
    if (log2N !== this.#log2N || !Buffer.from(salt).equals(this.#salt)) {
      return { secret: await this.#derive(salt, log2N), shared: false };
    }
    this.#ownKey ??= this.#derive(salt, log2N);
    const secret = await this.#ownKey;
    if (this.#closed) throw closedWrapper();
    return { secret, shared: true };
  }

  #derive(salt: Uint8Array, log2N: number): Promise<SecretBytes> {
    // scrypt needs 128 N r bytes, and OpenSSL a little more.
    const maxmem = 2 * 128 * 2 ** log2N * BLOCK_SIZE;
    const cost = { N: 2 ** log2N, r: BLOCK_SIZE, p: PARALLELISM, maxmem };
    return new Promise((fulfil, reject) => {
      // Node copies the passphrase for the thread that works on it, and clears that copy.
      this.#passphrase.use((passphrase) => {
        scrypt(passphrase, salt, KEY_BYTES, cost, (error, key) => {
          if (error === null) fulfil(new SecretBytes(key));
          else reject(error);
        });
      });
    });
  }
}

function isAllowedLog2N(log2N: number): boolean {
  return Number.isInteger(log2N) && log2N >= MIN_LOG2_N && log2N <= MAX_LOG2_N;
}

/** What must be known before a key is derived: the parameters are checked before anything is allocated for them. */
function parseHeader(wrapped: Uint8Array): { readonly salt: Uint8Array; readonly log2N: number } {
  const sizeBytes = wrapped.length - HEADER_BYTES - TAG_BYTES;
  if (sizeBytes < 1 || sizeBytes > MAX_SECRET_BYTES) {
    throw malformed(`it has ${wrapped.length} bytes`);
  }
  if (!Buffer.from(wrapped.subarray(0, MAGIC.length)).equals(MAGIC)) {
    throw malformed('it does not begin with TGWP');
  }
  const [version = 0, log2N = 0, blockSize = 0, parallelism = 0] = wrapped.subarray(
    MAGIC.length,
    SALT_OFFSET,
  );
  if (version !== VERSION) {
    throw malformed(`it has version ${version}, and this software knows version ${VERSION}`);
  }
  if (!isAllowedLog2N(log2N) || blockSize !== BLOCK_SIZE || parallelism !== PARALLELISM) {
    throw malformed(`it asks for scrypt with N = 2^${log2N}, r = ${blockSize}, p = ${parallelism}`);
  }
  return { salt: wrapped.subarray(SALT_OFFSET, NONCE_OFFSET), log2N };
}

function malformed(why: string): FormatError {
  return new FormatError(
    'wrapper.malformed',
    `A key is not wrapped as this software wraps with a passphrase: ${why}. Restore its file.`,
  );
}

function seal(key: Uint8Array, header: Uint8Array, secret: Uint8Array): Uint8Array {
  const nonce = header.subarray(NONCE_OFFSET);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAAD(header);
  const ciphertext = cipher.update(secret);
  cipher.final();
  return new Uint8Array(Buffer.concat([header, ciphertext, cipher.getAuthTag()]));
}

/** The secret, or undefined if the tag does not hold. */
function open(key: Uint8Array, wrapped: Uint8Array): SecretBytes | undefined {
  const header = wrapped.subarray(0, HEADER_BYTES);
  const nonce = header.subarray(NONCE_OFFSET);
  // Without `authTagLength` Node would accept a tag of 4 bytes.
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(header).setAuthTag(wrapped.subarray(wrapped.length - TAG_BYTES));
  const secret = decipher.update(wrapped.subarray(HEADER_BYTES, wrapped.length - TAG_BYTES));
  try {
    decipher.final();
  } catch {
    secret.fill(0);
    return undefined;
  }
  // A plain array over the same memory, which Node does not pool here: `slice` of a Buffer would not copy.
  return new SecretBytes(new Uint8Array(secret.buffer, secret.byteOffset, secret.length));
}
