/** What records share. Whatever is not known is absent: no record has a number that nobody measured. */
import { z } from 'zod';
import {
  idSchema,
  integerSchema,
  nonNegativeSchema,
  roundSchema,
  unixMsSchema,
} from '../package/messages/common.js';
import { fingerprintSchema } from '../package/release-reference.js';

export const RECORD_SCHEMA_VERSION = '1.0.0';

/** Every record begins with these. */
export const recordHead = {
  schema: z.literal(RECORD_SCHEMA_VERSION),
  /** Names what the record is of: a later record with the same id, and kind, stands in place of the earlier one. */
  id: z.string().regex(/^[A-Za-z0-9._:-]{1,200}$/),
  /** By the clock of the server that wrote it. */
  atMs: unixMsSchema,
};

/** A round, and the plan that it was run by. */
export const recordRound = {
  fleet: idSchema,
  policy: idSchema,
  cohort: idSchema,
  round: roundSchema,
  /** Fingerprint of the plan. */
  plan: fingerprintSchema,
};

export const roundOfRecordSchema = z.strictObject(recordRound);
export type RoundOfRecord = Readonly<z.infer<typeof roundOfRecordSchema>>;

/** Of one quantity, over those who gave it. */
export const spreadSchema = z.strictObject({
  count: integerSchema(1),
  minimum: nonNegativeSchema,
  median: nonNegativeSchema,
  maximum: nonNegativeSchema,
});
export type Spread = Readonly<z.infer<typeof spreadSchema>>;

/** @returns undefined where there is no value */
export function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const [minimum] = sorted;
  if (minimum === undefined) return undefined;
  const middle = (sorted.length - 1) / 2;
  const [below, above] = [sorted[Math.floor(middle)] as number, sorted[Math.ceil(middle)] as number];
  return {
    count: sorted.length,
    minimum,
    median: (below + above) / 2,
    maximum: sorted[sorted.length - 1] as number,
  };
}

/** Of what one measured once. */
export function onlyValue(value: number): Spread {
  return { count: 1, minimum: value, median: value, maximum: value };
}
