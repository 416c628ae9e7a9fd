/** What stored states and events have in common: bounded fields, as text that JSON carries. */
import { z } from 'zod';
import { idSchema, unixMsSchema } from '../../package/messages/common.js';

/** A fingerprint or digest: 32 bytes in lower-case hexadecimal. */
export const fingerprintSchema = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits');

/** A stable error code, "area.what". */
export const codeSchema = z
  .string()
  .max(64)
  .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, 'must be an error code such as "update.wrong-plan"');

/** One of the service's processes, as it names itself in a claim. */
export const workerSchema = idSchema;

export const atMsSchema = unixMsSchema;

/** Long enough for what matters; the whole message is in the aggregate or in the log. */
export const MAX_REASON_CHARACTERS = 96;

/** A reason as a state keeps it: JSON needs no escapes for it, so its size is bounded. */
export const reasonSchema = z
  .string()
  .max(MAX_REASON_CHARACTERS)
  .regex(/^[\x20-\x7e]*$/, 'must be printable ASCII')
  .regex(/^[^"\\]*$/, 'must have neither quotation marks nor backslashes');

/** A reason given by a worker, a custodian or a person, made to fit `reasonSchema`. */
export function shortReason(reason: string): string {
  const line = reason
    .replace(/\s+/gu, ' ')
    .replace(/"/g, "'")
    .replace(/\\/g, '/')
    .replace(/[^\x20-\x7e]/gu, '?');
  return line.length <= MAX_REASON_CHARACTERS ? line : `${line.slice(0, MAX_REASON_CHARACTERS - 3)}...`;
}

/** A value that nobody changes: states are shared by everything that was made from them. */
export type Immutable<T> = T extends readonly (infer Item)[]
  ? readonly Immutable<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Immutable<T[Key]> }
    : T;
