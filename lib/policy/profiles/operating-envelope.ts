/** The operating envelope: what an update may consist of, how large it may be, and what the cloud may do with it. */
import { z } from 'zod';
import {
  booleanSetting,
  choicesSetting,
  fixedSetting,
  integerSetting,
  patternsSetting,
  peftTypesSetting,
} from '../setting-schemas.js';

export const MIN_UPDATE_BYTES = 10_000;
/** Above this only where the owner's roster raised its ceiling, and the site says that it goes along. */
export const ORDINARY_MAX_UPDATE_BYTES = 5_000_000;
const RAISED_MAX_UPDATE_BYTES = 1_000_000_000;

export const SERVER_OPERATIONS = ['ciphertext_sum', 'ciphertext_average'] as const;

export const envelopeSchema = z
  .strictObject({
    peftTypes: peftTypesSetting('PEFT types whose adapters may be sealed'),
    allowedModules: patternsSetting(1, 'modules whose adapter tensors may be sealed'),
    fullLayers: patternsSetting(
      0,
      'modules whose full tensors may ride along: a classifier head, `lm_head`; none unless listed',
    ),
    maxTrainableParameters: integerSetting(1, 1_000_000_000, 'trainable parameters of an adapter at most'),
    targetUpdateBytes: integerSetting(
      MIN_UPDATE_BYTES,
      RAISED_MAX_UPDATE_BYTES,
      'bytes of a sealed update that the planner aims at where `training.keepRatio` is `auto`; at most `maxUpdateBytes`',
    ),
    maxUpdateBytes: integerSetting(
      MIN_UPDATE_BYTES,
      RAISED_MAX_UPDATE_BYTES,
      `bytes of a sealed update at most; above ${ORDINARY_MAX_UPDATE_BYTES} only with \`allowRaisedCeiling\``,
    ),
    allowRaisedCeiling: booleanSetting(
      `go along where the owner's roster raises its ceiling above ${ORDINARY_MAX_UPDATE_BYTES} bytes`,
    ),
    roundIntervalSeconds: integerSetting(600, 86_400, 'seconds from one round to the next'),
    canaryPercent: integerSetting(5, 20, 'percent of the fleet that receives a release first'),
    automaticRollback: booleanSetting('go back to the last release where the canary fails'),
    serverOperations: choicesSetting(SERVER_OPERATIONS, 'what the cloud may do with updates'),
    plaintextInspection: fixedSetting(
      false,
      'the cloud looks at no plaintext: it holds no key that would let it',
    ),
  })
  .superRefine((envelope, context) => {
    const { targetUpdateBytes, maxUpdateBytes, allowRaisedCeiling } = envelope;
    if (maxUpdateBytes > ORDINARY_MAX_UPDATE_BYTES && !allowRaisedCeiling) {
      context.addIssue({
        code: 'custom',
        path: ['maxUpdateBytes'],
        message: `is ${maxUpdateBytes}; above ${ORDINARY_MAX_UPDATE_BYTES} it needs allowRaisedCeiling: true, and a roster whose ceiling the owner raised`,
      });
    }
    if (targetUpdateBytes > maxUpdateBytes) {
      context.addIssue({
        code: 'custom',
        path: ['targetUpdateBytes'],
        message: `is ${targetUpdateBytes}; it must not exceed maxUpdateBytes, which is ${maxUpdateBytes}`,
      });
    }
  });

export type OperatingEnvelope = z.infer<typeof envelopeSchema>;
