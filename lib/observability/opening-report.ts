/** What the owner tells the service of an opening: how it went, and nothing of what was opened. */
import { z } from 'zod';
import {
  idSchema,
  integerSchema,
  MAX_CLIENTS,
  MAX_CUSTODIANS,
  nonNegativeSchema,
} from '../package/messages/common.js';

export const OPENING_REPORT_SCHEMA_VERSION = '1.0.0';

export const openingReportSchema = z.strictObject({
  schema: z.literal(OPENING_REPORT_SCHEMA_VERSION),
  /** From the answers to the average on the disk. */
  decryptMs: nonNegativeSchema.max(1e12),
  contributors: integerSchema(1, MAX_CLIENTS),
  answers: integerSchema(1, MAX_CUSTODIANS),
  /** Whether the sum was recomputed from the signed updates. */
  verified: z.boolean(),
  /** Custodians whose answers did not fit the others'. */
  disagreeing: z.array(idSchema).max(MAX_CUSTODIANS),
});

export type OpeningReport = Readonly<z.infer<typeof openingReportSchema>>;
