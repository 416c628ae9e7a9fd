/** The close record (`.tgc`): which updates a round opened, or why none. Signed by the owner. */
import { z } from 'zod';
import { compareBytes, isStrictlyAscending, setDigest } from '../fingerprint.js';
import {
  bytes32Schema,
  fingerprintListSchema,
  MAX_CLIENTS,
  plannedRoundFields,
  textSchema,
} from './common.js';
import type { MessageType } from './message-type.js';

/** Why nothing was opened. */
export const closeReasonSchema = textSchema(2048);

const closeShape = z.strictObject({
  ...plannedRoundFields,
  opened: fingerprintListSchema(MAX_CLIENTS),
  set: bytes32Schema.optional(),
  reason: closeReasonSchema.optional(),
});

export type CloseBody = z.infer<typeof closeShape>;

export const closeSchema = closeShape.superRefine((close, context) => {
  if (close.opened.length === 0) {
    if (close.reason === undefined) {
      context.addIssue({ code: 'custom', path: ['reason'], message: 'is required where nothing was opened' });
    }
    return;
  }
  // With nothing opened, `set` names the set that could not be.
  if (close.set === undefined || !isStrictlyAscending(close.opened)) return;
  if (compareBytes(close.set, setDigest(close.opened)) !== 0) {
    context.addIssue({ code: 'custom', path: ['set'], message: 'is not the digest of the opened updates' });
  }
});

export const closeMessage: MessageType<CloseBody> = { extension: '.tgc', schema: closeSchema, sections: [] };
