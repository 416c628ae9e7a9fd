/**
 * Injective bytes for a list of named fields: what seals are bound to and what ledger rows are hashed as.
 *
 * Every field, the label first, is `length (4 bytes, little-endian) || bytes`: UTF-8 for text, 8 bytes
 * little-endian for integers. A concatenation of length-prefixed strings has one parse, so two different
 * lists never encode to the same bytes, wherever a field is split.
 */
import { ParameterError } from '../errors.js';

/** The longest text field, in bytes of UTF-8. */
export const MAX_TEXT_FIELD_BYTES = 255;

/** A field's name, for error messages only, and its value. */
export type Field = readonly [name: string, value: string | number | Uint8Array];

/**
 * Encodes `label` and `fields` in the order given.
 *
 * @throws ParameterError `field.bad-text` (empty, longer than 255 bytes, or not well-formed Unicode),
 *   `field.bad-integer` (not an integer in [0, 2^53)).
 */
export function encodeFields(label: string, fields: readonly Field[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [name, value] of [['label', label] as Field, ...fields]) {
    const bytes = encodeValue(name, value);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, bytes.length, true);
    parts.push(length, bytes);
  }
  return new Uint8Array(Buffer.concat(parts));
}

function encodeValue(name: string, value: string | number | Uint8Array): Uint8Array {
  if (typeof value === 'string') {
    return encodeText(name, value);
  }
  if (typeof value === 'number') {
    requireInteger(name, value, 0);
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
    return bytes;
  }
  return value;
}

function encodeText(name: string, value: string): Uint8Array {
  // A lone surrogate encodes to U+FFFD, so two different strings would give the same bytes.
  if (/\p{Surrogate}/u.test(value)) {
    throw new ParameterError('field.bad-text', `${name} is not well-formed Unicode; use another name.`);
  }
  const bytes = new TextEncoder().encode(value);
  if (bytes.length === 0 || bytes.length > MAX_TEXT_FIELD_BYTES) {
    throw new ParameterError(
      'field.bad-text',
      `${name} has ${bytes.length} bytes of UTF-8; it must have 1 to ${MAX_TEXT_FIELD_BYTES}.`,
    );
  }
  return bytes;
}

/** @throws ParameterError `field.bad-integer` unless `value` is an integer in [minimum, 2^53). */
export function requireInteger(name: string, value: number, minimum: number): void {
  if (!Number.isSafeInteger(value) || value < minimum) {
    throw new ParameterError(
      'field.bad-integer',
      `${name} is ${value}; it must be an integer from ${minimum} to 2^53 - 1.`,
    );
  }
}

/** @throws ParameterError `field.bad-bytes` unless `value` has 32 bytes: a fingerprint, a digest, a key id. */
export function requireBytes32(name: string, value: Uint8Array): void {
  if (value.length !== 32) {
    throw new ParameterError('field.bad-bytes', `${name} has ${value.length} bytes; it must have 32.`);
  }
}

/** Whether two byte strings are equal. Not constant time: for public values only. */
export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

/** Lower-case hexadecimal. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}
