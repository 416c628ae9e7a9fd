/** What can happen to a round. Whoever sends an event has verified what it says: signatures, digests, who sent it. */
import { z } from 'zod';
import { closeReasonSchema } from '../../package/messages/close.js';
import { idSchema, integerSchema, MAX_CLIENTS, textSchema } from '../../package/messages/common.js';
import { atMsSchema, codeSchema, fingerprintSchema, type Immutable, workerSchema } from './fields.js';
import { MAX_ROUND_CLIENTS } from './settings.js';
import { outlierSchema, reportedStatisticsSchema } from './state.js';

const attemptSchema = integerSchema(1, 1_000);
/** For people; a state keeps the beginning. */
const messageSchema = z.string().max(65_536);
const refusedInSumSchema = z
  .array(z.strictObject({ fingerprint: fingerprintSchema, code: codeSchema, reason: messageSchema }))
  .max(MAX_ROUND_CLIENTS);

/** Every event says when it happened, by the clock of the process that saw it: milliseconds since 1970. */
const at = { atMs: atMsSchema };

export const roundEventSchema = z.discriminatedUnion('type', [
  /** The operator opens the round before its time. */
  z.strictObject({ type: z.literal('open'), ...at }),
  /** Nothing but time has passed. Any process may say so, as often as it likes. */
  z.strictObject({ type: z.literal('time'), ...at }),
  /** A whole update is stored. `client` is who authenticated itself, not who the file says it is from. */
  z.strictObject({
    type: z.literal('update-received'),
    ...at,
    client: idSchema,
    fingerprint: fingerprintSchema,
    /** The header's `staleness`; absent: 0. */
    stalenessRounds: integerSchema(0).optional(),
    statistics: reportedStatisticsSchema.optional(),
  }),
  /** A whole partial sum is stored, and each of its contributors' headers and shares verified. */
  z.strictObject({
    type: z.literal('partial-sum-received'),
    ...at,
    gateway: idSchema,
    fingerprint: fingerprintSchema,
    contributors: z
      .array(
        z.strictObject({
          client: idSchema,
          fingerprint: fingerprintSchema,
          stalenessRounds: integerSchema(0).optional(),
          statistics: reportedStatisticsSchema.optional(),
        }),
      )
      .min(1)
      .max(MAX_ROUND_CLIENTS),
  }),
  /** An upload did not hold. With a `client`, as above, its health suffers. */
  z.strictObject({
    type: z.literal('update-refused'),
    ...at,
    client: idSchema.optional(),
    fingerprint: fingerprintSchema.optional(),
    code: codeSchema,
    reason: messageSchema,
  }),
  /** A worker begins an attempt to sum, or shows that it still lives, which starts its lease again. */
  z.strictObject({ type: z.literal('sum-claimed'), ...at, worker: workerSchema, attempt: attemptSchema }),
  /** Outlier tests have looked at the sealed set. What they flag is marked, and left out of the sum where `action` says so. */
  z.strictObject({
    type: z.literal('outliers-judged'),
    ...at,
    action: z.enum(['flag', 'refuse']),
    flagged: z
      .array(z.strictObject({ fingerprint: fingerprintSchema, ...outlierSchema.shape }))
      .max(MAX_ROUND_CLIENTS),
  }),
  /** The aggregate is stored. Each update of the sealed set is either accepted or refused. */
  z.strictObject({
    type: z.literal('sum-finished'),
    ...at,
    worker: workerSchema,
    aggregate: fingerprintSchema,
    accepted: z.array(fingerprintSchema).min(1).max(MAX_ROUND_CLIENTS),
    refused: refusedInSumSchema,
  }),
  z.strictObject({
    type: z.literal('sum-failed'),
    ...at,
    worker: workerSchema,
    attempt: attemptSchema,
    code: codeSchema,
    reason: messageSchema,
    /** Whether another attempt may do better: a full disk, yes; too few updates that hold, no. */
    retryable: z.boolean(),
    refused: refusedInSumSchema.optional(),
  }),
  /** A custodian's answer for the set with the digest `set` is stored. */
  z.strictObject({
    type: z.literal('answer-received'),
    ...at,
    custodian: idSchema,
    fingerprint: fingerprintSchema,
    set: fingerprintSchema,
  }),
  z.strictObject({
    type: z.literal('answer-refused'),
    ...at,
    custodian: idSchema,
    code: codeSchema,
    reason: messageSchema,
  }),
  /** The owner's verified close record is stored: fingerprint of the file, and what its body says. */
  z.strictObject({
    type: z.literal('closed'),
    ...at,
    record: fingerprintSchema,
    opened: z.array(fingerprintSchema).max(MAX_CLIENTS),
    set: fingerprintSchema.optional(),
    reason: closeReasonSchema.optional(),
  }),
  z.strictObject({ type: z.literal('released'), ...at, release: fingerprintSchema }),
  /** The operator ends the round. */
  z.strictObject({ type: z.literal('abort'), ...at, reason: textSchema(512) }),
]);

export type RoundEvent = Immutable<z.infer<typeof roundEventSchema>>;
export type EventOf<Type extends RoundEvent['type']> = Extract<RoundEvent, { type: Type }>;
