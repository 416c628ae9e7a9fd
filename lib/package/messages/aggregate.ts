/** The aggregate (`.tga`): the sum, whose it is, and what was left out. Signed by the aggregator. */
import { z } from 'zod';
import { bytes32Schema, idSchema, MAX_CLIENTS, plannedRoundFields, textSchema } from './common.js';
import {
  contributorFields,
  contributorSchema,
  requireOneOfEach,
  SUM_SECTIONS,
  sumSectionLengths,
} from './contributors.js';
import type { MessageType } from './message-type.js';

const acceptedSchema = contributorSchema.extend({
  /** The gateway's partial sum that this update came in; absent where the client's own ciphertext was summed. */
  partialSum: bytes32Schema.optional(),
});

export const aggregateSchema = z
  .strictObject({
    ...plannedRoundFields,
    aggregator: idSchema,
    ...contributorFields(acceptedSchema),
    refused: z
      .array(
        z.strictObject({
          source: textSchema(1024),
          update: bytes32Schema.optional(),
          client: idSchema.optional(),
          code: z
            .string()
            .max(128)
            .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, 'must be an error code such as "update.wrong-plan"'),
          message: textSchema(2048),
        }),
      )
      .max(MAX_CLIENTS),
  })
  .superRefine(requireOneOfEach);

export type AggregateBody = z.infer<typeof aggregateSchema>;
export type AcceptedUpdate = AggregateBody['accepted'][number];
export type RefusedUpdate = AggregateBody['refused'][number];

export const aggregateMessage: MessageType<AggregateBody> = {
  extension: '.tga',
  schema: aggregateSchema,
  sections: [...SUM_SECTIONS],
  sectionLengths: sumSectionLengths,
};
