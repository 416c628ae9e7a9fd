/** What an operator asks for when a rollout starts, and the plan that it becomes. */
import { z } from 'zod';
import { RefusedError } from '../../errors.js';
import { fingerprintSchema, type ReleaseReference } from '../../package/release-reference.js';
import type { Policy } from '../../policy/policy.js';
import { analysisSchema } from '../../rollout/analysis.js';
import { planRollout, type RolloutPlan } from '../../rollout/plan.js';
import type { ReleaseFacts } from '../releases/release-book.js';

const MAX_SECONDS = 2_592_000;
const secondsSchema = z.int().min(1).max(MAX_SECONDS);
const percentSchema = z.int().min(1).max(100);

export const startRolloutSchema = z.strictObject({
  release: z
    .int()
    .min(1)
    .max(2 ** 32 - 1)
    .describe('Counter of the release'),
  canaryPercent: z.int().min(5).max(20).optional().describe("The envelope's, if absent"),
  percents: z
    .array(percentSchema)
    .max(99)
    .optional()
    .describe('Of the steps after the canary; 100 is always the last'),
  minimumDurationSeconds: z.int().min(0).max(MAX_SECONDS).optional().describe('Of each step'),
  analysis: analysisSchema.unwrap().partial().optional().describe('Replaces parts of the default analysis'),
  analysisIntervalSeconds: secondsSchema.optional(),
  rollbackTimeoutSeconds: secondsSchema.optional(),
  override: fingerprintSchema
    .optional()
    .describe('The adapter that may come back although it was rolled back from'),
  supersede: z.boolean().optional().describe('Take the place of a rollout that is not past its canary'),
});
export type StartRolloutRequest = z.infer<typeof startRolloutSchema>;

export interface PlannedRollout {
  readonly fleet: string;
  readonly policyName: string;
  readonly policy: Policy;
  readonly release: ReleaseFacts;
  /** What the fleet runs. */
  readonly previous: ReleaseReference;
  /** Ids of the roster's active clients. */
  readonly active: readonly string[];
}

/**
 * The plan of a rollout: the request's, and where it says nothing, the policy's.
 *
 * @throws FormatError `rollout.bad-plan`; RefusedError `rollout.no-recipients`
 */
export function planOfRequest(request: StartRolloutRequest, planned: PlannedRollout): RolloutPlan {
  const { release, policy } = planned;
  const clients = planned.active.filter((id) => release.recipients.has(id));
  if (clients.length === 0) {
    throw new RefusedError(
      'rollout.no-recipients',
      `Release ${release.reference.counter} was encrypted to no client that is active now. Release again to those that are.`,
    );
  }
  const { canaryPercent, percents, minimumDurationSeconds, analysisIntervalSeconds } = request;
  return planRollout({
    fleet: planned.fleet,
    policy: planned.policyName,
    release: release.reference,
    previous: planned.previous,
    clients,
    envelope: { ...policy.envelope, ...(canaryPercent !== undefined && { canaryPercent }) },
    safety: policy.safety,
    ...{ percents, minimumDurationSeconds, analysisIntervalSeconds },
    analysis: definedOf(request.analysis ?? {}),
    rollbackTimeoutSeconds: request.rollbackTimeoutSeconds,
  });
}

/** Without what is undefined, which would replace a default. */
function definedOf<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
