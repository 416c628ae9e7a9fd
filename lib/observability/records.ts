/**
 * Records: what the operator sees of a fleet, one JSON object each. In the clear for whoever runs the service, and of robots no
 * more than they send in signed headers and reports.
 */
import { z } from 'zod';
import {
  idSchema,
  integerSchema,
  nonNegativeSchema,
  textSchema,
  unixMsSchema,
} from '../package/messages/common.js';
import { releaseReferenceSchema } from '../package/release-reference.js';
import { custodyStatusSchema } from './custody-status.js';
import { LATENCY_STAGES } from './latency-stages.js';
import { recordHead, recordRound, spreadSchema } from './record-fields.js';

/**
 * How long stages took, in milliseconds. Train, compress and encrypt as the updates' signed headers have them, aggregate as the
 * server measured it, decrypt as the owner did: these of a round. Upload and apply as robots reported them, of a span of time.
 */
export const latencyRecordSchema = z.strictObject({
  kind: z.literal('latency'),
  ...recordHead,
  policy: idSchema,
  /** Absent where it is of reports, which name no round. */
  round: z.strictObject(recordRound).optional(),
  stagesMs: z.partialRecord(z.enum(LATENCY_STAGES), spreadSchema),
});

/** What the updates of a round's sum take, all together. */
export const compressionRecordSchema = z.strictObject({
  kind: z.literal('compression'),
  ...recordHead,
  ...recordRound,
  updates: integerSchema(1),
  /** Numbers in one adapter. */
  parameters: integerSchema(1),
  /** As trainers wrote the tensors. */
  originalBytes: integerSchema(0, Number.MAX_SAFE_INTEGER),
  /** Of the ciphertexts alone. */
  compressedBytes: integerSchema(0, Number.MAX_SAFE_INTEGER),
  /** Of whole files: with sealed shares, header and signatures. */
  wireBytes: integerSchema(0, Number.MAX_SAFE_INTEGER),
  /** original / compressed. */
  ratio: nonNegativeSchema,
  /** original / wire. */
  effectiveRatio: nonNegativeSchema,
});

/** Of one site's budget for one policy, as its robot reported it. */
export const privacyRecordSchema = z.strictObject({
  kind: z.literal('privacy'),
  ...recordHead,
  policy: idSchema,
  client: idSchema,
  epsilonSpent: nonNegativeSchema,
  epsilonBudget: nonNegativeSchema,
  /** The budget less what is spent, never below 0. */
  epsilonRemaining: nonNegativeSchema,
  delta: nonNegativeSchema.max(1),
  /** Rounds that were paid for. */
  rounds: integerSchema(0),
  /** What is spent, by rounds; absent before the first. */
  epsilonPerRound: nonNegativeSchema.optional(),
  /** How often that still fits. Rounds cost less and less by composition: it is the least that is left. */
  roundsLeft: integerSchema(0, Number.MAX_SAFE_INTEGER).optional(),
});

/** Of the episodes that robots reported within a span of time, all under one release. */
export const qualityRecordSchema = z.strictObject({
  kind: z.literal('quality'),
  ...recordHead,
  policy: idSchema,
  /** Absent where the robots ran none. */
  release: releaseReferenceSchema.optional(),
  reports: integerSchema(1),
  episodes: integerSchema(0).optional(),
  successes: integerSchema(0).optional(),
  violations: integerSchema(0).optional(),
  collisions: integerSchema(0).optional(),
  /** successes / episodes; absent without episodes. */
  successRate: nonNegativeSchema.max(1).optional(),
  residualNorm: spreadSchema.optional(),
});

export const ALERT_NAMES = [
  'privacy-budget-low',
  'privacy-budget-exhausted',
  'round-failed',
  'rollout-paused',
  'rollout-rolling-back',
  'rollout-failed',
  'break-glass-open',
  'audit-trail-broken',
  'records-dropped',
  /** Of a rollout: the message says what. */
  'rollout',
] as const;

export const alertRecordSchema = z.strictObject({
  kind: z.literal('alert'),
  ...recordHead,
  name: z.enum(ALERT_NAMES),
  severity: z.enum(['info', 'warning', 'critical']),
  message: textSchema(2048),
  policy: idSchema.optional(),
  client: idSchema.optional(),
  custodian: idSchema.optional(),
  round: z.strictObject(recordRound).optional(),
  /** How many, where it is of several. */
  count: integerSchema(1, Number.MAX_SAFE_INTEGER).optional(),
});

/** As the round machine has them; a test compares. */
export const RECORDED_ROUND_PHASES = [
  'planned',
  'open',
  'sealed-off',
  'summing',
  'awaiting-answers',
  'failed',
  'opened',
  'released',
] as const;

export const roundRecordSchema = z.strictObject({
  kind: z.literal('round'),
  ...recordHead,
  ...recordRound,
  phase: z.enum(RECORDED_ROUND_PHASES),
  opensAtMs: unixMsSchema,
  deadlineMs: unixMsSchema,
  /** When it came to each phase. */
  enteredAtMs: z.partialRecord(z.enum(RECORDED_ROUND_PHASES), unixMsSchema),
  eligible: integerSchema(0),
  quorum: integerSchema(1),
  received: integerSchema(0),
  refused: integerSchema(0),
  /** Updates that tests have flagged; absent where none have looked. */
  outliers: integerSchema(0).optional(),
  accepted: integerSchema(0).optional(),
  answered: integerSchema(0),
  threshold: integerSchema(1),
  failure: z.strictObject({ code: idSchema, message: textSchema(4096) }).optional(),
  /** Whether the owner's close record lists the sum. */
  opened: z.boolean().optional(),
});

/** As the rollout machine has them; a test compares. */
export const RECORDED_ROLLOUT_PHASES = [
  'pending',
  'canary',
  'progressing',
  'paused',
  'full',
  'rolling-back',
  'rolled-back',
  'aborted',
  'failed',
] as const;

export const rolloutRecordSchema = z.strictObject({
  kind: z.literal('rollout'),
  ...recordHead,
  policy: idSchema,
  release: releaseReferenceSchema,
  phase: z.enum(RECORDED_ROLLOUT_PHASES),
  reason: textSchema(256).optional(),
  /** Clients that were offered the release. */
  offered: integerSchema(0).optional(),
  clients: integerSchema(0).optional(),
});

export const custodyRecordSchema = z.strictObject({
  kind: z.literal('custody'),
  ...recordHead,
  custodian: idSchema,
  status: custodyStatusSchema,
});

export const recordSchema = z.discriminatedUnion('kind', [
  latencyRecordSchema,
  compressionRecordSchema,
  privacyRecordSchema,
  qualityRecordSchema,
  alertRecordSchema,
  roundRecordSchema,
  rolloutRecordSchema,
  custodyRecordSchema,
]);

export type TelemetryRecord = Readonly<z.infer<typeof recordSchema>>;
export type RecordKind = TelemetryRecord['kind'];
export type RecordOf<Kind extends RecordKind> = Extract<TelemetryRecord, { readonly kind: Kind }>;

export const RECORD_KINDS = recordSchema.options.map(
  ({ shape }) => shape.kind.value,
) as readonly RecordKind[];
export const recordKindSchema = z.enum(RECORD_KINDS as readonly [RecordKind, ...RecordKind[]]);
