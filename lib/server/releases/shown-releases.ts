/** Releases as they are shown. */
import { z } from 'zod';
import { hex } from '../../package/messages/common.js';
import { plaintextBytes, type ReleaseBody } from '../../package/messages/release.js';
import { VERDICT_OUTCOMES } from '../../package/messages/verdict.js';

export const releaseSchema = z.object({
  counter: z.int(),
  fingerprint: z.string(),
  policy: z.string(),
  plan: z.string().optional(),
  atMs: z.int(),
});
export const releaseListSchema = z.object({
  releases: z.array(
    releaseSchema.extend({ current: z.boolean().describe('Whether the whole fleet is to run it') }),
  ),
});
export type ReleaseList = z.infer<typeof releaseListSchema>;

/** What a release's signed header says in the clear. */
const releaseFactsSchema = z.object({
  counter: z.int(),
  policy: z.string(),
  rosterVersion: z.int(),
  adapterFingerprint: z.string(),
  baseModel: z.string().optional(),
  loraMode: z.string().optional(),
  adapterBytes: z.int(),
  recipients: z.int().describe('Clients that it is encrypted to'),
  round: z.object({ cohort: z.string(), round: z.int(), plan: z.string() }).optional(),
  rollback: z.object({ to: z.int(), withdrawn: z.array(z.string()) }).optional(),
  note: z.string().optional(),
});
export type ShownReleaseFacts = z.infer<typeof releaseFactsSchema>;

export const releaseHeaderSchema = releaseFactsSchema.extend({
  fingerprint: z.string().describe('Of the release'),
  atMs: z.int().describe('When the service got it'),
  current: z.boolean().describe('Whether the whole fleet is to run it'),
  verdict: z
    .object({ fingerprint: z.string(), outcome: z.enum(VERDICT_OUTCOMES), attempt: z.int() })
    .optional()
    .describe('The one that holds on its adapter'),
});
export type ReleaseHeader = z.infer<typeof releaseHeaderSchema>;

export function shownReleaseFacts(body: ReleaseBody): ShownReleaseFacts {
  const { counter, policy, rosterVersion, baseModel, loraMode, payload, round, rollback, note } = body;
  return {
    ...{ counter, policy, rosterVersion },
    adapterFingerprint: hex(body.adapterFingerprint),
    ...(baseModel !== undefined && { baseModel }),
    ...(loraMode !== undefined && { loraMode }),
    adapterBytes: plaintextBytes(payload),
    recipients: body.recipients.length,
    ...(round !== undefined && { round: { ...round, plan: hex(round.plan) } }),
    ...(rollback !== undefined && {
      rollback: { to: rollback.to, withdrawn: rollback.withdrawn.map(hex) },
    }),
    ...(note !== undefined && { note }),
  };
}
