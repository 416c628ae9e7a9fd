/** The training profile: how a delta becomes integers, and what trainers are recommended. */
import { z } from 'zod';
import {
  booleanSetting,
  choiceSetting,
  entriesSetting,
  integerSetting,
  patternsSetting,
  positiveOrWordSetting,
  positiveSetting,
} from '../setting-schemas.js';

export const LORA_MODES = ['average', 'frozen-a'] as const;
export type LoraMode = (typeof LORA_MODES)[number];

const MIN_BITS = 2;
const MAX_BITS = 8;
const MAX_KEEP_RATIOS = 256;

const bitsSchema = z
  .strictObject({
    min: integerSetting(MIN_BITS, MAX_BITS, 'bits of a value at least; `bits: 8` is short for both'),
    max: integerSetting(
      MIN_BITS,
      MAX_BITS,
      'bits of a value at most; above `min`, they are allocated by module',
    ),
  })
  .superRefine(({ min, max }, context) => {
    if (min > max) {
      context.addIssue({
        code: 'custom',
        path: ['min'],
        message: `is ${min}; it must not exceed max, which is ${max}`,
      });
    }
  });

const gradientNormSchema = z
  .strictObject({
    min: positiveSetting(
      1e9,
      'smallest gradient norm that an update may declare: below it, nothing was learnt',
    ),
    max: positiveSetting(1e9, 'largest gradient norm that an update may declare'),
  })
  .superRefine(({ min, max }, context) => {
    if (min >= max) {
      context.addIssue({
        code: 'custom',
        path: ['min'],
        message: `is ${min}; it must be below max, which is ${max}`,
      });
    }
  });

const keepRatioEntrySchema = z.strictObject({
  modules: patternsSetting(1, 'modules'),
  keepRatio: positiveSetting(1, 'share of their coordinates that is sent'),
});

export const trainingSchema = z
  .strictObject({
    loraMode: choiceSetting(
      LORA_MODES,
      '`average`: both factors are averaged; `frozen-a`: only B is trained and sent, which is exact and half the size',
    ),
    bits: bitsSchema,
    keepRatio: positiveOrWordSetting(
      1,
      'auto',
      'share of the coordinates that a round sends; `auto`: what fits `envelope.targetUpdateBytes`',
    ),
    keepRatios: entriesSetting(
      keepRatioEntrySchema,
      MAX_KEEP_RATIOS,
      `a list of at most ${MAX_KEEP_RATIOS} {modules: patterns, keepRatio: number above 0, at most 1}`,
      '`keepRatio` for some modules; the first entry that fits a module decides',
    ),
    rotation: booleanSetting('rotate by a randomized Hadamard transform before clipping'),
    errorFeedback: booleanSetting('add what a round lost to the next delta'),
    maxRelativeError: positiveSetting(
      100,
      'largest relative L2 error of what is sent that a plan may predict; unset: none is demanded',
    ).optional(),
    gradientNorm: gradientNormSchema,
    learningRate: positiveSetting(10, 'recommended to trainers'),
    batchSize: integerSetting(1, 65_536, 'recommended to trainers'),
    maxSteps: integerSetting(1, 10_000_000, 'recommended to trainers'),
    warmupSteps: integerSetting(0, 10_000_000, 'recommended to trainers; at most `maxSteps`'),
    samplesForFullWeight: integerSetting(
      1,
      1_000_000_000,
      "a client's weight is min(1, samples / this); unset: every client weighs 1",
    ).optional(),
    stalenessTau: positiveSetting(
      1_000_000,
      'a delta that missed rounds weighs exp(-rounds / this); unset: as much as a new one',
    ).optional(),
    maxStalenessRounds: integerSetting(
      0,
      1_000_000,
      'rounds that a delta may be late at most; unset: while it still weighs 1/16',
    ).optional(),
  })
  .superRefine(({ warmupSteps, maxSteps }, context) => {
    if (warmupSteps > maxSteps) {
      context.addIssue({
        code: 'custom',
        path: ['warmupSteps'],
        message: `is ${warmupSteps}; it must not exceed maxSteps, which is ${maxSteps}`,
      });
    }
  });

export type TrainingProfile = z.infer<typeof trainingSchema>;
