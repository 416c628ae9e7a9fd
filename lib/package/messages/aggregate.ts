/** The aggregate (`.tga`): the sum, whose it is, and what was left out. Signed by the aggregator. */
import { z } from 'zod';
import { isStrictlyAscending } from '../fingerprint.js';
import { MAX_HEADER_BYTES, MAX_SIGNATURE_BLOCK_BYTES, PREFIX_BYTES } from '../layout.js';
import {
  bytes32Schema,
  firstRepeated,
  idSchema,
  integerSchema,
  MAX_CLIENTS,
  plannedRoundFields,
  textSchema,
} from './common.js';
import type { MessageType } from './message-type.js';

const aggregateShape = z.strictObject({
  ...plannedRoundFields,
  aggregator: idSchema,
  accepted: z
    .array(z.strictObject({ client: idSchema, update: bytes32Schema }))
    .min(1)
    .max(MAX_CLIENTS),
  envelopeLengths: z
    .array(integerSchema(PREFIX_BYTES, PREFIX_BYTES + MAX_HEADER_BYTES + MAX_SIGNATURE_BLOCK_BYTES))
    .max(MAX_CLIENTS),
  shareLengths: z.array(integerSchema(0)).max(MAX_CLIENTS),
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
});

export type AggregateBody = z.infer<typeof aggregateShape>;
export type AcceptedUpdate = AggregateBody['accepted'][number];
export type RefusedUpdate = AggregateBody['refused'][number];

export const aggregateSchema = aggregateShape.superRefine((aggregate, context) => {
  const refuse = (path: string, message: string): void => {
    context.addIssue({ code: 'custom', path: [path], message });
  };
  const { accepted } = aggregate;
  if (!isStrictlyAscending(accepted.map(({ update }) => update))) {
    refuse('accepted', 'must be in the order of the update fingerprints, none twice');
  }
  const client = firstRepeated(accepted.map((entry) => entry.client));
  if (client !== undefined) refuse('accepted', `client "${client}" occurs twice`);
  for (const lengths of ['envelopeLengths', 'shareLengths'] as const) {
    if (aggregate[lengths].length !== accepted.length) {
      refuse(lengths, `must have one length for each of the ${accepted.length} accepted updates`);
    }
  }
});

function sum(lengths: readonly number[]): number {
  return lengths.reduce((total, length) => total + length, 0);
}

export const aggregateMessage: MessageType<AggregateBody> = {
  extension: '.tga',
  schema: aggregateSchema,
  sections: ['ciphertext', 'envelopes', 'shares'],
  sectionLengths: (body) => ({ envelopes: sum(body.envelopeLengths), shares: sum(body.shareLengths) }),
};
