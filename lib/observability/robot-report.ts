/**
 * What a robot, of whatever platform, reports of itself: the release that it runs, what came of the episodes since its last
 * report, how long its part of a round took, and what it has spent of its privacy budget. In the clear for whoever runs the
 * service, as an update's header is: nothing of what the robot learned or saw belongs here.
 *
 * Unknown is absent. A report is numbered by its sender, across restarts too, so that none counts twice.
 */
import { z } from 'zod';
import { idSchema, integerSchema, nonNegativeSchema, unixMsSchema } from '../package/messages/common.js';
import { releaseReferenceSchema } from '../package/release-reference.js';
import { episodeCountsSchema } from './episode-counts.js';

export const ROBOT_REPORT_SCHEMA_VERSION = '1.0.0';

/** A robot's part of a round, stage by stage, in the order in which they come. */
export const ROBOT_STAGES = ['train', 'compress', 'encrypt', 'upload', 'apply'] as const;

const durationSchema = nonNegativeSchema.max(1e12);

/** Of the last round that the robot took part in, in milliseconds. `apply`: from a release's first byte to its being in place. */
export const robotLatenciesSchema = z.strictObject({
  train: durationSchema.optional(),
  compress: durationSchema.optional(),
  encrypt: durationSchema.optional(),
  upload: durationSchema.optional(),
  apply: durationSchema.optional(),
});

/** Of the site's ledger, for one policy. */
export const privacyBudgetSchema = z.strictObject({
  epsilonSpent: nonNegativeSchema,
  epsilonBudget: nonNegativeSchema,
  delta: nonNegativeSchema.max(1),
  /** Rounds that were paid for. */
  rounds: integerSchema(0),
});

/** What an update cost and gave, as its sealing measured it. */
export const sealedSizeSchema = z.strictObject({
  /** Of the tensors, as the trainer wrote them. */
  originalBytes: integerSchema(0),
  /** Of the file that was sent. */
  sealedBytes: integerSchema(0),
  parameters: integerSchema(0),
});

export const robotReportSchema = z.strictObject({
  schema: z.literal(ROBOT_REPORT_SCHEMA_VERSION),
  client: idSchema,
  policy: idSchema,
  sequence: integerSchema(0, Number.MAX_SAFE_INTEGER),
  /** By the robot's clock. */
  atMs: unixMsSchema,
  /** Absent where it runs none. */
  runs: releaseReferenceSchema.optional(),
  /** Since the previous report, all under the release that the report names. */
  episodes: episodeCountsSchema.optional(),
  latenciesMs: robotLatenciesSchema.optional(),
  sealed: sealedSizeSchema.optional(),
  /** L2 norm of the error-feedback residual. */
  residualNorm: nonNegativeSchema.optional(),
  privacy: privacyBudgetSchema.optional(),
  /** How much of the training touched each expert. */
  experts: z.record(idSchema, nonNegativeSchema).optional(),
});

export type RobotReport = Readonly<z.infer<typeof robotReportSchema>>;
