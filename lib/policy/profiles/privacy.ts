/** The privacy profile: the noise that each client adds to its integers, and the budget that it is spent from. */
import { z } from 'zod';
import {
  booleanSetting,
  choiceSetting,
  integerSetting,
  numberSetting,
  positiveSetting,
} from '../setting-schemas.js';

export const PRIVACY_MECHANISMS = ['none', 'skellam', 'discrete-gaussian'] as const;
export type PrivacyMechanism = (typeof PRIVACY_MECHANISMS)[number];

export const privacySchema = z
  .strictObject({
    mechanism: choiceSetting(
      PRIVACY_MECHANISMS,
      'noise added before encryption; `none` gives no differential privacy',
    ),
    epsilon: positiveSetting(
      1000,
      'budget: the largest epsilon that all rounds together may cost, at `delta`',
    ),
    // At a delta near one over the number of records, publishing somebody's record whole would qualify.
    delta: positiveSetting(0.01, 'probability with which the bound on epsilon may fail'),
    clip: positiveSetting(
      1e6,
      "L2 norm to which a client's whole update is clipped; unset: what the planner recommends. Needed with a mechanism",
    ).optional(),
    noiseMultiplier: numberSetting(
      0,
      10_000,
      'standard deviation of the noise in the sum, as a multiple of `clip`; above 0 with a mechanism',
    ),
    colluders: integerSetting(
      0,
      65_535,
      'dishonest clients of a quorum, whose noise does not count; below `encryption.quorum`',
    ),
    hardStop: booleanSetting('refuse what would exceed `epsilon`; false: go on, and report it'),
  })
  .superRefine((privacy, context) => {
    if (privacy.mechanism === 'none') return;
    for (const field of ['clip', 'noiseMultiplier'] as const) {
      if ((privacy[field] ?? 0) > 0) continue;
      context.addIssue({
        code: 'custom',
        path: [field],
        message: `must be a number above 0 where mechanism is ${privacy.mechanism}`,
      });
    }
  });

export type PrivacyProfile = z.infer<typeof privacySchema>;
