/** What a custodian's agent says about its keys: states and dates, never a key, and nothing of what was answered. */
import { z } from 'zod';
import {
  idSchema,
  integerSchema,
  keyEpochSchema,
  textSchema,
  unixMsSchema,
} from '../package/messages/common.js';
import { fingerprintSchema } from '../package/release-reference.js';

export const CUSTODY_STATUS_SCHEMA_VERSION = '1.0.0';

/** As key stores have them; a test compares. */
export const CUSTODY_KEY_STATES = [
  'pre-activation',
  'active',
  'suspended',
  'deactivated',
  'compromised',
  'destroyed',
] as const;

/** A custodian keeps no more that are not destroyed; of older ones the newest are listed. */
export const MAX_LISTED_KEYS = 64;
export const MAX_LISTED_BREAK_GLASS = 16;

export const custodyStatusSchema = z.strictObject({
  schema: z.literal(CUSTODY_STATUS_SCHEMA_VERSION),
  /** By the custodian's clock. */
  atMs: unixMsSchema,
  keys: z
    .array(
      z.strictObject({
        name: idSchema,
        /** Absent of a signing key. */
        epoch: keyEpochSchema.optional(),
        state: z.enum(CUSTODY_KEY_STATES),
        createdMs: unixMsSchema,
        recoverable: z.boolean(),
      }),
    )
    .max(MAX_LISTED_KEYS),
  /** Of the key that seals go to. */
  rotation: z.strictObject({
    dueAtMs: unixMsSchema,
    /** A key of the next epoch waits for a roster that lists it. */
    pending: z.boolean(),
  }),
  audit: z.strictObject({
    entries: integerSchema(0),
    head: fingerprintSchema,
    /** Whether the trail was found whole. */
    whole: z.boolean(),
  }),
  /** Uses of break-glass that no officer has closed. */
  openBreakGlass: z
    .array(
      z.strictObject({
        /** Entry of the audit trail. */
        entry: integerSchema(0),
        key: idSchema,
        round: textSchema(512),
      }),
    )
    .max(MAX_LISTED_BREAK_GLASS),
});

export type CustodyStatus = Readonly<z.infer<typeof custodyStatusSchema>>;
