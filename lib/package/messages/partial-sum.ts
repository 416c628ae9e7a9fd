/**
 * The partial sum (`.tgg`): a site's updates, summed before they reach the aggregator, with every contributor's signed header
 * and sealed shares. Signed by the site's gateway, which vouches for the sum: nobody else saw the ciphertexts one by one.
 */
import { z } from 'zod';
import { idSchema, plannedRoundFields } from './common.js';
import {
  contributorFields,
  contributorSchema,
  requireOneOfEach,
  SUM_SECTIONS,
  sumSectionLengths,
} from './contributors.js';
import type { MessageType } from './message-type.js';

export const partialSumSchema = z
  .strictObject({
    ...plannedRoundFields,
    gateway: idSchema,
    ...contributorFields(contributorSchema),
  })
  .superRefine(requireOneOfEach);

export type PartialSumBody = z.infer<typeof partialSumSchema>;

export const partialSumMessage: MessageType<PartialSumBody> = {
  extension: '.tgg',
  schema: partialSumSchema,
  sections: [...SUM_SECTIONS],
  sectionLengths: sumSectionLengths,
};
