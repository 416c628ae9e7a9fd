/** The update (`.tgu`): one client's sealed delta and what may be known of it. Signed by the client. */
import { z } from 'zod';
import {
  bytes32Schema,
  finiteSchema,
  idSchema,
  integerSchema,
  keyEpochSchema,
  nonNegativeSchema,
  parameterSetSchema,
  plannedRoundFields,
  positiveSchema,
  tensorNameSchema,
  textSchema,
} from './common.js';
import type { MessageType } from './message-type.js';
import { MAX_EXPERTS } from './plan.js';

export const UPDATE_SCHEMA_VERSION = '1.0.0';

/**
 * The least weight but 0. The owner divides by the sum of weights: smaller ones would magnify rounding and noise, and what a
 * client that lies about its weight can do.
 */
export const LEAST_WEIGHT = 2 ** 12;

/** A weight of 1. Integers, so that everyone adds them alike. */
export const WEIGHT_ONE = 2 ** 16;

export const trainingSchema = z.strictObject({
  steps: integerSchema(0).optional(),
  learningRate: nonNegativeSchema.optional(),
  objective: z.enum(['il', 'offline_rl', 'ppo', 'sac', 'td3']).optional(),
  rewardVersion: textSchema(64).optional(),
  samples: integerSchema(0).optional(),
  datasetHash: bytes32Schema.optional(),
  demonstrations: integerSchema(0).optional(),
  durationMs: nonNegativeSchema.optional(),
});

/** These travel in the clear: bucket them or add noise before they get here. */
export const safetySchema = z.strictObject({
  saturatedValues: integerSchema(0).optional(),
  constraintViolations: integerSchema(0).optional(),
  oodScore: finiteSchema.optional(),
  // An estimate from samples may be negative, though the divergence is not.
  klDivergence: finiteSchema.optional(),
  gradientNormMean: nonNegativeSchema.optional(),
  gradientNormMax: nonNegativeSchema.optional(),
});

export const updateSchema = z.strictObject({
  schema: z.literal(UPDATE_SCHEMA_VERSION),
  ...plannedRoundFields,
  client: idSchema,
  parameterSet: parameterSetSchema,
  keyEpoch: keyEpochSchema,
  adapterSchema: bytes32Schema,
  baseModel: textSchema(256).optional(),
  targets: z
    .strictObject({
      modules: z.array(tensorNameSchema).max(65_536),
      adapterIds: z.array(idSchema).max(1024),
    })
    .optional(),
  training: trainingSchema.optional(),
  safety: safetySchema.optional(),
  compression: z
    .strictObject({
      originalBytes: integerSchema(0),
      sealedBytes: integerSchema(0),
      /** The widest value's. */
      bits: integerSchema(2, 8),
      keepRatio: z.number().gt(0).max(1).optional(),
    })
    .optional(),
  privacy: z
    .strictObject({
      mechanism: z.enum(['skellam', 'discrete-gaussian']).optional(),
      clip: positiveSchema.optional(),
      noiseMultiplier: nonNegativeSchema.optional(),
      epsilonSpent: nonNegativeSchema.optional(),
    })
    .optional(),
  /**
   * What the client multiplied its values by, in units of 2^-16: one for each of the plan's experts, or one where it has
   * none; 0, or 1/16 at least. Absent: 1 everywhere.
   */
  weights: z
    .array(
      integerSchema(0, WEIGHT_ONE).refine((weight) => weight === 0 || weight >= LEAST_WEIGHT, {
        error: `must be 0 or at least ${LEAST_WEIGHT}`,
      }),
    )
    .min(1)
    .max(MAX_EXPERTS)
    .optional(),
  /**
   * Rounds since the one that this delta was first sealed for, 0 for a new one; there where the plan has a `staleness`, and
   * nowhere else.
   */
  staleness: integerSchema(0).optional(),
  /** How much of the training touched each expert, as the trainer declares it. */
  experts: z.record(idSchema, nonNegativeSchema).optional(),
  compatibility: z
    .strictObject({
      robotModel: textSchema(128).optional(),
      policyFamily: textSchema(128).optional(),
      normalizationHash: bytes32Schema.optional(),
    })
    .optional(),
  timingsMs: z
    .strictObject({
      train: nonNegativeSchema.optional(),
      compress: nonNegativeSchema.optional(),
      encrypt: nonNegativeSchema.optional(),
    })
    .optional(),
});

export type UpdateBody = z.infer<typeof updateSchema>;
export type TrainingMetadata = z.infer<typeof trainingSchema>;
export type SafetyStatistics = z.infer<typeof safetySchema>;

export const updateMessage: MessageType<UpdateBody> = {
  extension: '.tgu',
  schema: updateSchema,
  sections: ['ciphertext', 'shares'],
};
