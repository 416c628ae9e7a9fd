/** Whose updates a sum holds, and how their envelopes and sealed shares lie in its sections. */
import { z } from 'zod';
import { isStrictlyAscending } from '../fingerprint.js';
import { MAX_HEADER_BYTES, MAX_SIGNATURE_BLOCK_BYTES, PREFIX_BYTES } from '../layout.js';
import { bytes32Schema, firstRepeated, idSchema, integerSchema, MAX_CLIENTS } from './common.js';

export const contributorSchema = z.strictObject({ client: idSchema, update: bytes32Schema });

/** @param contributor what each entry of `accepted` holds */
export function contributorFields<Contributor extends z.ZodType>(contributor: Contributor) {
  return {
    accepted: z.array(contributor).min(1).max(MAX_CLIENTS),
    envelopeLengths: z
      .array(integerSchema(PREFIX_BYTES, PREFIX_BYTES + MAX_HEADER_BYTES + MAX_SIGNATURE_BLOCK_BYTES))
      .max(MAX_CLIENTS),
    shareLengths: z.array(integerSchema(0)).max(MAX_CLIENTS),
  };
}

export interface ContributorLists {
  readonly accepted: readonly z.infer<typeof contributorSchema>[];
  readonly envelopeLengths: readonly number[];
  readonly shareLengths: readonly number[];
}

/** One order, nobody twice, and lengths for everybody: or the same set could be written down in several ways. */
export function requireOneOfEach(sum: ContributorLists, context: z.RefinementCtx): void {
  const refuse = (path: string, message: string): void => {
    context.addIssue({ code: 'custom', path: [path], message });
  };
  const { accepted } = sum;
  if (!isStrictlyAscending(accepted.map(({ update }) => update))) {
    refuse('accepted', 'must be in the order of the update fingerprints, none twice');
  }
  const client = firstRepeated(accepted.map((entry) => entry.client));
  if (client !== undefined) refuse('accepted', `client "${client}" occurs twice`);
  for (const lengths of ['envelopeLengths', 'shareLengths'] as const) {
    if (sum[lengths].length !== accepted.length) {
      refuse(lengths, `must have one length for each of the ${accepted.length} accepted updates`);
    }
  }
}

/** The sections of a sum, and what its lists say about their lengths. */
export const SUM_SECTIONS = ['ciphertext', 'envelopes', 'shares'] as const;

export function sumSectionLengths({ envelopeLengths, shareLengths }: ContributorLists) {
  return { envelopes: total(envelopeLengths), shares: total(shareLengths) };
}

function total(lengths: readonly number[]): number {
  return lengths.reduce((sum, length) => sum + length, 0);
}
