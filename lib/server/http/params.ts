/** Path and query parameters that routes share. Whatever does not match exactly is refused: nothing is trimmed or decoded twice. */
import { z } from 'zod';
import { idSchema } from '../../package/messages/common.js';

/** A plan's or update's fingerprint: one spelling only, so that one thing has one address. */
export const fingerprintParam = z
  .string()
  .regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hexadecimal digits')
  .describe('SHA-256, hexadecimal');

export const idParam = idSchema.describe("A member's id");

function integerParam(maximum: number) {
  return z
    .string()
    .regex(/^(?:0|[1-9][0-9]{0,9})$/, 'must be a decimal integer')
    .transform(Number)
    .refine((value) => value <= maximum, { error: `must be at most ${maximum}` });
}

/** Index of a chunk of one mebibyte, from 0. */
export const chunkIndexParam = integerParam(2 ** 20 - 1);

/** How many of a list are wanted. */
export function limitParam(maximum: number) {
  return integerParam(maximum).refine((value) => value > 0, { error: 'must be at least 1' });
}

/** A release's counter. */
export const counterParam = integerParam(2 ** 32 - 1);

/** A robot's report's number: any integer that a double holds exactly. */
export const sequenceParam = z
  .string()
  .regex(/^(?:0|[1-9][0-9]{0,15})$/, 'must be a decimal integer')
  .transform(Number)
  .refine(Number.isSafeInteger, { error: `must be at most ${Number.MAX_SAFE_INTEGER}` });

export const planParams = z.strictObject({ plan: fingerprintParam });
export const updateParams = z.strictObject({ plan: fingerprintParam, fingerprint: fingerprintParam });
export const chunkParams = z.strictObject({ ...updateParams.shape, chunk: chunkIndexParam });
export const answerParams = z.strictObject({ plan: fingerprintParam, custodian: idParam });
export const custodianParams = z.strictObject({ custodian: idParam });
export const releaseParams = z.strictObject({ counter: counterParam });
export const verdictParams = z.strictObject({ fingerprint: fingerprintParam });
/** A rollout has the counter of its release. */
export const rolloutParams = z.strictObject({ rollout: counterParam });
export const reportParams = z.strictObject({ client: idParam, sequence: sequenceParam });
