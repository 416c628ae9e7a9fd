/** The fields that messages share, each with its bounds. */
import { z } from 'zod';
import { isStrictlyAscending } from '../fingerprint.js';
import { bytesOf } from '../keys.js';

export { bytesOf } from '../keys.js';

/** Names of fleets, policies, cohorts, clients, custodians: safe as a file name and in a log line. */
export const idSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'must be 1..64 of A-Z a-z 0-9 . _ -, starting with a letter or digit',
  );

/** A tensor's or module's dotted path, as safetensors and PEFT write it; longer than an id may be. */
export const tensorNameSchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,512}$/, 'must be 1..512 printable ASCII characters');

/** A line of text for people. Control characters could forge log lines and drive terminals. */
export function textSchema(maxLength: number) {
  return z
    .string()
    .min(1)
    .max(maxLength)
    .regex(/^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\ufeff]*$/u, 'must be one line of text without control characters');
}

export const bytes32Schema = bytesOf(32);

/** An integer in [min, max]; counts have no reason to exceed 2^40. */
export function integerSchema(min: number, max: number = 2 ** 40) {
  return z.int().min(min).max(max);
}

/** Milliseconds since 1970, up to the year 9999. */
export const unixMsSchema = integerSchema(0, 253_402_300_799_999);

export const finiteSchema = z.number();
export const nonNegativeSchema = z.number().min(0);
export const positiveSchema = z.number().gt(0);

export const PARAMETER_SET_NAMES = ['lwe-192', 'lwe-128'] as const;
export const parameterSetSchema = z.enum(PARAMETER_SET_NAMES);

/** Shamir's x coordinates stay small, and 255 custodians are more than anyone can keep apart. */
export const MAX_CUSTODIANS = 255;
/** Above this a fleet runs as cohorts; it bounds what a reader of a roster or an aggregate allocates. */
export const MAX_CLIENTS = 65_536;

export const custodianIndexSchema = integerSchema(1, MAX_CUSTODIANS);
export const keyEpochSchema = integerSchema(1, 2 ** 32 - 1);
export const roundSchema = integerSchema(1, 2 ** 32 - 1);
export const versionSchema = integerSchema(1, 2 ** 32 - 1);

/** Where a message belongs: every message of a round begins with these. */
export const roundFields = {
  fleet: idSchema,
  policy: idSchema,
  cohort: idSchema,
  round: roundSchema,
};

/** Which round a message belongs to, and under which plan (its fingerprint). */
export const plannedRoundFields = { ...roundFields, plan: bytes32Schema };

/** Fingerprints in bytewise order, none twice. */
export function fingerprintListSchema(maxLength: number) {
  return z
    .array(bytes32Schema)
    .max(maxLength)
    .refine(isStrictlyAscending, { error: 'must be in bytewise order and without repetition' });
}

/** The first item that occurs twice, if any. */
export function firstRepeated(items: Iterable<string>): string | undefined {
  const seen = new Set<string>();
  for (const item of items) {
    if (seen.has(item)) return item;
    seen.add(item);
  }
  return undefined;
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
