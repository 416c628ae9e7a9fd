/** A custodian's answer (`.tgs`): the sum of its shares over one set, sealed to the owner. */
import { z } from 'zod';
import {
  bytes32Schema,
  custodianIndexSchema,
  idSchema,
  integerSchema,
  keyEpochSchema,
  MAX_CLIENTS,
  plannedRoundFields,
} from './common.js';
import type { MessageType } from './message-type.js';

export const answerSchema = z.strictObject({
  ...plannedRoundFields,
  set: bytes32Schema,
  custodian: idSchema,
  index: custodianIndexSchema,
  epoch: keyEpochSchema,
  contributors: integerSchema(1, MAX_CLIENTS),
  ledgerHead: bytes32Schema,
});

export type AnswerBody = z.infer<typeof answerSchema>;

export const answerMessage: MessageType<AnswerBody> = {
  extension: '.tgs',
  schema: answerSchema,
  sections: ['sealed'],
};
