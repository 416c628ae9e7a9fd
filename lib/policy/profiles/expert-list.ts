/** Experts (Mixture of Intelligence): parts of the model that are averaged with weights of their own. */
import { z } from 'zod';
import { entriesSetting, patternsSetting, positiveSetting } from '../setting-schemas.js';

/** As experts/expert-set.ts has it: each expert is a sum to keep. */
const MAX_EXPERTS = 64;

const expertSchema = z.strictObject({
  name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, {
    error: 'must be 1 to 64 of A-Z a-z 0-9 . _ -, starting with a letter or digit',
  }),
  // None for an expert "other", which takes in what nobody has a pattern for.
  modules: patternsSetting(0, 'modules that belong to the expert'),
  // Clients multiply with it after clipping: above 1 it would exceed the sensitivity that noise is sized for.
  weight: positiveSetting(1, 'weight of the expert'),
});

export const expertsSchema = entriesSetting(
  expertSchema,
  MAX_EXPERTS,
  `a list of at most ${MAX_EXPERTS} {name, modules: patterns, weight: number above 0, at most 1}, each name once`,
  'experts; a module belongs to the first that has a pattern for it. None: one weight for all modules',
);

export type PolicyExpert = z.infer<typeof expertSchema>;
