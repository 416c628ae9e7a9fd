/** What a store accepts. Checked before anything is opened or sent, so that a key can never name anything else. */
import { createHash } from 'node:crypto';
import { FormatError, ParameterError, VerificationError } from '../errors.js';

/**
 * JetStream's servers take messages of 1 MiB by default, and give a stored one back in base64 within a JSON text:
 * 512 KiB make 683 KiB.
 */
export const MAX_VALUE_BYTES = 512 * 1024;
export const MAX_BLOB_BYTES = 4 * 1024 * 1024;
const MAX_KEY_CHARACTERS = 512;
const MIN_LEASE_MS = 1_000;
const MAX_LEASE_MS = 3_600_000;

/** No dot of its own, no separator of paths, no wildcard of NATS. */
const SEGMENT = /^[A-Za-z0-9_-]{1,128}$/;
const DIGEST = /^[0-9a-f]{64}$/;

/** @throws FormatError `store.bad-key` */
export function requireKey(key: string): string {
  if (key.length > MAX_KEY_CHARACTERS || !key.split('.').every((segment) => SEGMENT.test(segment))) {
    throw badKey('A key', 'segments joined by dots, 512 characters in all');
  }
  return key;
}

/** A key, or '' for everything. @throws FormatError `store.bad-key` */
export function requirePrefix(prefix: string): string {
  return prefix === '' ? prefix : requireKey(prefix);
}

/** @throws FormatError `store.bad-key` */
export function requireQueueName(queue: string): string {
  if (!SEGMENT.test(queue)) throw badKey('The name of a queue', 'one segment');
  return queue;
}

/** @throws FormatError `store.bad-digest` */
export function requireDigest(digest: string): string {
  if (!DIGEST.test(digest)) {
    throw new FormatError(
      'store.bad-digest',
      'A blob is named by its SHA-256: give 64 lower-case hexadecimal digits.',
    );
  }
  return digest;
}

/** @throws ParameterError `store.value-too-large` */
export function requireValueSize(value: Uint8Array): void {
  if (value.length > MAX_VALUE_BYTES) {
    throw new ParameterError(
      'store.value-too-large',
      `A value or payload has ${MAX_VALUE_BYTES} bytes at most, this one ${value.length}. Put it into a blob and store its digest.`,
    );
  }
}

/** @throws ParameterError `store.bad-lease` */
export function requireLease(leaseMs: number): number {
  if (!Number.isSafeInteger(leaseMs) || leaseMs < MIN_LEASE_MS || leaseMs > MAX_LEASE_MS) {
    throw new ParameterError(
      'store.bad-lease',
      `A lease lasts ${MIN_LEASE_MS} to ${MAX_LEASE_MS} ms, a whole number: ${leaseMs} is none.`,
    );
  }
  return leaseMs;
}

/**
 * That `bytes` are what `digest` names, before they are stored.
 *
 * @throws FormatError `store.bad-digest`
 * @throws ParameterError `store.blob-too-large`
 * @throws VerificationError `store.digest-mismatch`
 */
export function requireBlob(digest: string, bytes: Uint8Array): void {
  requireDigest(digest);
  if (bytes.length > MAX_BLOB_BYTES) {
    throw new ParameterError(
      'store.blob-too-large',
      `A blob has ${MAX_BLOB_BYTES} bytes at most, this one ${bytes.length}. Split it.`,
    );
  }
  if (digestOf(bytes) !== digest) {
    throw new VerificationError(
      'store.digest-mismatch',
      `The bytes do not have the SHA-256 ${digest}; nothing was stored. Send them again.`,
    );
  }
}

/** SHA-256 in hexadecimal, as a blob is named. */
export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function blobCorrupt(digest: string, detail: string): VerificationError {
  return new VerificationError(
    'store.blob-corrupt',
    `The stored blob ${digest} ${detail}. Put it again, or restore it from a backup; then check the disk.`,
  );
}

function badKey(what: string, form: string): FormatError {
  return new FormatError(
    'store.bad-key',
    `${what} is ${form}: a segment has 1 to 128 letters, digits, "_" or "-".`,
  );
}
