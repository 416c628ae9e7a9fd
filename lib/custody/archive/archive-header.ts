/**
 * How an archive begins, and the key that it is encrypted with: scrypt (RFC 7914) of a passphrase, with a salt of its own.
 *
 * header = "TGXA" || version 1 || log2 N || r || p || salt (32) || nonce prefix (7), authenticated with every segment.
 */
import { randomBytes, scrypt } from 'node:crypto';
import { FormatError, ParameterError } from '../../errors.js';
import { SecretBytes } from '../secret-bytes.js';
import { readSecretLine } from '../wrappers/private-file.js';

const MAGIC = Buffer.from('TGXA', 'latin1');
const VERSION = 1;
const SALT_OFFSET = 8;
const SALT_BYTES = 32;
const PREFIX_OFFSET = SALT_OFFSET + SALT_BYTES;
export const NONCE_PREFIX_BYTES = 7;
export const HEADER_BYTES = PREFIX_OFFSET + NONCE_PREFIX_BYTES;
const KEY_BYTES = 32;

/** N = 2^17, r = 8, p = 1: 128 MiB and some 0.3 s a guess; OWASP's first choice for scrypt. */
const DEFAULT_LOG2_N = 17;
const BLOCK_SIZE = 8;
const PARALLELISM = 1;
const MIN_LOG2_N = 10;
/** A crafted archive must not make us allocate more than the 256 MiB of N = 2^18. */
const MAX_LOG2_N = 18;

const PASSPHRASE_BYTES = { minBytes: 12, maxBytes: 1024 } as const;

export interface ArchiveHeader {
  /** As they stand in the file: `HEADER_BYTES`. */
  readonly bytes: Uint8Array;
  readonly log2N: number;
  readonly salt: Uint8Array;
  readonly noncePrefix: Uint8Array;
}

/**
 * Reads the passphrase of an archive from a file of mode 0600; the caller wipes it.
 *
 * @throws RefusedError `wrapper.secret-length` (12 to 1024 bytes), `wrapper.file-permissions`; EnvironmentError and
 *   FormatError `wrapper.file-*`
 */
export function readArchivePassphrase(path: string): Promise<SecretBytes> {
  return readSecretLine(path, 'passphrase', PASSPHRASE_BYTES);
}

/**
 * A header with a fresh salt, and so a fresh key: the nonce of no other archive can meet it.
 *
 * @param log2N for tests: log2 of scrypt's N, 10 to 18. Anything below 17 makes guessing cheap.
 * @throws ParameterError `archive.bad-scrypt`
 */
export function newHeader(log2N: number = DEFAULT_LOG2_N): ArchiveHeader {
  if (!isAllowedLog2N(log2N)) {
    throw new ParameterError(
      'archive.bad-scrypt',
      `log2 of scrypt's N must be an integer from ${MIN_LOG2_N} to ${MAX_LOG2_N}, and is ${log2N}.`,
    );
  }
  const cost = Uint8Array.of(VERSION, log2N, BLOCK_SIZE, PARALLELISM);
  return parseHeader(Buffer.concat([MAGIC, cost, randomBytes(SALT_BYTES + NONCE_PREFIX_BYTES)]));
}

/** @throws FormatError `archive.malformed`, before anything is allocated for what it asks */
export function parseHeader(bytes: Uint8Array): ArchiveHeader {
  if (bytes.length !== HEADER_BYTES || Buffer.compare(bytes.subarray(0, MAGIC.length), MAGIC) !== 0) {
    throw malformed('it does not begin as one');
  }
  const [version = 0, log2N = 0, blockSize = 0, parallelism = 0] = bytes.subarray(MAGIC.length, SALT_OFFSET);
  if (version !== VERSION) {
    throw malformed(`it has version ${version}, and this software knows version ${VERSION}`);
  }
  if (!isAllowedLog2N(log2N) || blockSize !== BLOCK_SIZE || parallelism !== PARALLELISM) {
    throw malformed(`it asks for scrypt with N = 2^${log2N}, r = ${blockSize}, p = ${parallelism}`);
  }
  return {
    bytes,
    log2N,
    salt: bytes.subarray(SALT_OFFSET, PREFIX_OFFSET),
    noncePrefix: bytes.subarray(PREFIX_OFFSET),
  };
}

/** The key of an archive, 32 bytes; the caller wipes it. */
export function deriveArchiveKey(
  passphrase: SecretBytes,
  { log2N, salt }: ArchiveHeader,
): Promise<SecretBytes> {
  // scrypt needs 128 N r bytes, and OpenSSL a little more.
  const maxmem = 2 * 128 * 2 ** log2N * BLOCK_SIZE;
  const cost = { N: 2 ** log2N, r: BLOCK_SIZE, p: PARALLELISM, maxmem };
  return new Promise((fulfil, reject) => {
    passphrase.use((bytes) => {
      scrypt(bytes, salt, KEY_BYTES, cost, (error, key) => {
        if (error === null) fulfil(new SecretBytes(key));
        else reject(error);
      });
    });
  });
}

export function malformed(why: string): FormatError {
  return new FormatError(
    'archive.malformed',
    `This is no archive that "keys export" wrote: ${why}. Use another copy of it, or another archive.`,
  );
}

function isAllowedLog2N(log2N: number): boolean {
  return Number.isInteger(log2N) && log2N >= MIN_LOG2_N && log2N <= MAX_LOG2_N;
}
