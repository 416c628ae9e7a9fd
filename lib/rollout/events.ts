/** What can happen to a rollout. Whoever makes an event has checked who it comes from: signatures, roles. */
import { z } from 'zod';
import { FormatError } from '../errors.js';
import { episodeCountsSchema } from '../observability/episode-counts.js';
import { idSchema, integerSchema, unixMsSchema } from '../package/messages/common.js';
import { fingerprintSchema, releaseReferenceSchema } from '../package/release-reference.js';
import { PAUSE_REASONS } from './state.js';

/** By the clock of the server that takes the event. An earlier time than the last event's counts as that one. */
const at = { atMs: unixMsSchema };

/** What a robot signs. Reports of a client count up, across restarts too; an older one changes nothing. */
const report = {
  client: idSchema,
  sequence: integerSchema(0, Number.MAX_SAFE_INTEGER),
  /** The release that it runs. */
  runs: releaseReferenceSchema,
};

export const rolloutEventSchema = z.discriminatedUnion('type', [
  /** A signed verdict of the evaluation, named by its fingerprint. */
  z.strictObject({
    type: z.literal('verdict'),
    ...at,
    adapterFingerprint: fingerprintSchema,
    outcome: z.enum(['passed', 'failed', 'inconclusive']),
    verdict: fingerprintSchema,
  }),
  z.strictObject({ type: z.literal('telemetry'), ...at, ...report, telemetry: episodeCountsSchema }),
  z.strictObject({ type: z.literal('confirm'), ...at, ...report }),
  /** A timer that ran out, early, late or twice. */
  z.strictObject({ type: z.literal('time'), ...at }),
  z.strictObject({ type: z.literal('pause'), ...at }),
  /** Names the reason that the operator saw: a breach since then is not waved through. */
  z.strictObject({ type: z.literal('resume'), ...at, reason: z.enum(PAUSE_REASONS) }),
  /** Names the step that the operator saw: sent twice, it skips no step. */
  z.strictObject({ type: z.literal('promote'), ...at, fromStep: integerSchema(0, 99) }),
  z.strictObject({ type: z.literal('abort'), ...at }),
  z.strictObject({ type: z.literal('rollback'), ...at }),
  /** The owner signed the release that goes back. */
  z.strictObject({
    type: z.literal('rollback-released'),
    ...at,
    release: releaseReferenceSchema,
    to: integerSchema(1),
    withdrawn: z.array(fingerprintSchema).min(1).max(4096),
  }),
  /** A newer release takes this one's place. */
  z.strictObject({ type: z.literal('superseded'), ...at, by: releaseReferenceSchema }),
  z.strictObject({ type: z.literal('enrolled'), ...at, client: idSchema, recipient: z.boolean() }),
  z.strictObject({ type: z.literal('revoked'), ...at, client: idSchema }),
]);

export type RolloutEvent = Readonly<z.infer<typeof rolloutEventSchema>>;
export type RolloutEventOf<T extends RolloutEvent['type']> = Extract<RolloutEvent, { readonly type: T }>;

/** @throws FormatError `rollout.bad-event` */
export function parseRolloutEvent(input: unknown): RolloutEvent {
  const parsed = rolloutEventSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new FormatError(
    'rollout.bad-event',
    `The rollout cannot take this event: ${z.prettifyError(parsed.error)}`,
  );
}
