/** The plan of a rollout: which release replaces which, on which clients, in which steps, and what stops it. */
import { z } from 'zod';
import { FormatError, ParameterError } from '../errors.js';
import { firstRepeated, idSchema, MAX_CLIENTS } from '../package/messages/common.js';
import {
  fingerprintSchema,
  type ReleaseReference,
  releaseReferenceSchema,
} from '../package/release-reference.js';
import type { OperatingEnvelope } from '../policy/profiles/operating-envelope.js';
import type { SafetyThresholds } from '../policy/profiles/safety.js';
import { type Analysis, analysisSchema } from './analysis.js';

const MAX_STEPS = 100;
const MAX_SECONDS = 2_592_000;
const MIN_CANARY_PERCENT = 5;
const MAX_CANARY_PERCENT = 20;

const secondsSchema = z.int().min(1).max(MAX_SECONDS);

const stepSchema = z
  .strictObject({
    /** Of the clients that the release is for. */
    percent: z.int().min(1).max(100),
    /** By the machine's clock, which stands still while no event comes. */
    minimumDurationSeconds: z.int().min(0).max(MAX_SECONDS),
    analysis: analysisSchema,
  })
  .readonly();

export type RolloutStep = z.infer<typeof stepSchema>;

const clientIdsSchema = z
  .array(idSchema)
  .max(MAX_CLIENTS)
  .refine((ids) => firstRepeated(ids) === undefined, { error: 'a client is listed twice' });

/** Clients that may run a release which this one supersedes before it came further than its canary. */
const carriedSchema = z.strictObject({
  release: releaseReferenceSchema,
  clients: clientIdsSchema,
  /** Adapters newer than the previous release's that these clients may run. */
  adapterFingerprints: z.array(fingerprintSchema).min(1).max(4096),
});

export const rolloutPlanSchema = z
  .strictObject({
    fleet: idSchema,
    policy: idSchema,
    release: releaseReferenceSchema,
    /** The last good release: what clients outside of the step run, and what a rollback goes back to. */
    previous: releaseReferenceSchema,
    /** The recipients of the release. Others cannot open it, whatever they are offered. */
    clients: clientIdsSchema.min(1),
    /** The canary, then more and more; the last one is everybody. */
    steps: z.array(stepSchema).min(1).max(MAX_STEPS),
    /** A breach or silence rolls back; otherwise it pauses, and somebody has to decide. */
    automaticRollback: z.boolean(),
    analysisIntervalSeconds: secondsSchema,
    /** How long clients have to confirm a rollback before it counts as failed. */
    rollbackTimeoutSeconds: secondsSchema,
    carried: carriedSchema.optional(),
  })
  .superRefine((plan, context) => {
    for (const message of planFaults(plan)) context.addIssue({ code: 'custom', message });
  })
  .readonly();

export type RolloutPlan = z.infer<typeof rolloutPlanSchema>;

function* planFaults(plan: {
  readonly release: ReleaseReference;
  readonly previous: ReleaseReference;
  readonly steps: readonly RolloutStep[];
  readonly clients: readonly string[];
  readonly analysisIntervalSeconds: number;
  readonly carried?:
    | { readonly clients: readonly string[]; readonly adapterFingerprints: readonly string[] }
    | undefined;
}): Generator<string, void, void> {
  const { release, previous, steps } = plan;
  const recipients = new Set(plan.clients);
  if (plan.carried?.clients.some((client) => !recipients.has(client)) === true) {
    yield 'a client that may run the superseded release is no recipient of this one';
  }
  if (plan.carried?.adapterFingerprints.includes(previous.adapterFingerprint) === true) {
    yield 'the adapter of the previous release cannot be one to withdraw';
  }
  const percents = steps.map(({ percent }) => percent);
  const canaryPercent = percents[0] ?? 0;
  if (canaryPercent < MIN_CANARY_PERCENT || canaryPercent > MAX_CANARY_PERCENT) {
    yield `the first step is the canary, from ${MIN_CANARY_PERCENT} to ${MAX_CANARY_PERCENT} percent`;
  }
  if (percents.at(-1) !== 100) yield 'the last step must be 100 percent';
  // A server that comes back counts one interval of its absence; in the other the robots' reports can arrive.
  const shortestSeconds = 2 * plan.analysisIntervalSeconds;
  if (steps.some(({ analysis }) => analysis.telemetryTimeoutSeconds < shortestSeconds)) {
    yield `telemetry must have ${shortestSeconds} seconds at least, two analysis intervals, before it counts as missing`;
  }
  if (percents.some((percent, i) => percent <= (percents[i - 1] ?? 0))) yield 'steps must grow';
  if (release.counter <= previous.counter)
    yield 'the release must have a higher counter than the previous one';
  if (release.adapterFingerprint === previous.adapterFingerprint) {
    yield 'the release has the adapter of the previous one: there is nothing to roll out';
  }
}

/** @throws FormatError `rollout.bad-plan` */
export function parseRolloutPlan(input: unknown): RolloutPlan {
  const parsed = rolloutPlanSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new FormatError(
    'rollout.bad-plan',
    `The rollout plan is not valid: ${z.prettifyError(parsed.error)}`,
  );
}

/**
 * Percents from the canary up to `maxPercent` in equal increments, and then everybody. Where the increments do not meet
 * `maxPercent`, it is a step of its own; 100 is the last one whatever the numbers.
 *
 * @throws ParameterError `rollout.bad-increments`
 */
export function percentsByIncrement(
  canaryPercent: number,
  incrementPercent: number,
  maxPercent: number,
): number[] {
  const values = [canaryPercent, incrementPercent, maxPercent];
  if (values.some((value) => !Number.isInteger(value) || value < 1 || value > 100)) {
    throw new ParameterError(
      'rollout.bad-increments',
      `Canary ${canaryPercent}, increment ${incrementPercent} and maximum ${maxPercent} must be integers from 1 to 100.`,
    );
  }
  const percents = [canaryPercent];
  for (let next = canaryPercent + incrementPercent; next < maxPercent; next += incrementPercent) {
    percents.push(next);
  }
  return ascending([...percents, maxPercent, 100], canaryPercent);
}

function ascending(percents: readonly number[], canaryPercent: number): number[] {
  return [...new Set(percents)].filter((percent) => percent >= canaryPercent).sort((a, b) => a - b);
}

/** What a fleet that says nothing else gets. */
export const DEFAULT_PERCENTS: readonly number[] = [25, 50];
export const DEFAULT_MINIMUM_DURATION_SECONDS = 3600;
export const DEFAULT_ANALYSIS_INTERVAL_SECONDS = 300;
export const DEFAULT_ROLLBACK_TIMEOUT_SECONDS = 86_400;

/**
 * Success as the safety profile has it, and violations in at most 5 % of episodes. 60 episodes are what it takes to show
 * the latter with 95 % where none occurred.
 */
export function defaultAnalysis(safety: Pick<SafetyThresholds, 'minSuccessRate'>): Analysis {
  return {
    successCondition: [
      { metric: 'success-rate', must: 'be-at-least', threshold: safety.minSuccessRate },
      { metric: 'violation-rate', must: 'be-at-most', threshold: 0.05 },
    ],
    confidence: 0.95,
    minimumEpisodes: 60,
    failureLimit: 1,
    inconclusiveLimit: 3,
    telemetryTimeoutSeconds: 1800,
    minimumReportingPercent: 80,
  };
}

export interface RolloutPlanOptions {
  readonly fleet: string;
  readonly policy: string;
  readonly release: ReleaseReference;
  readonly previous: ReleaseReference;
  readonly clients: readonly string[];
  readonly envelope: Pick<OperatingEnvelope, 'canaryPercent' | 'automaticRollback'>;
  readonly safety: Pick<SafetyThresholds, 'minSuccessRate'>;
  /** Of the steps after the canary, in any order; those that do not exceed the canary's are left out. */
  readonly percents?: readonly number[] | undefined;
  readonly minimumDurationSeconds?: number | undefined;
  /** Replaces parts of the default analysis, in all steps. */
  readonly analysis?: Partial<Analysis> | undefined;
  readonly analysisIntervalSeconds?: number | undefined;
  readonly rollbackTimeoutSeconds?: number | undefined;
}

/**
 * A plan from the envelope: its canary, progressive steps, everybody. Plans with a different analysis for each step are
 * written out and go through `parseRolloutPlan`.
 *
 * @throws FormatError `rollout.bad-plan`
 */
export function planRollout(options: RolloutPlanOptions): RolloutPlan {
  const { envelope, safety } = options;
  const analysis = { ...defaultAnalysis(safety), ...options.analysis };
  const percents = [envelope.canaryPercent, ...(options.percents ?? DEFAULT_PERCENTS), 100];
  const minimumDurationSeconds = options.minimumDurationSeconds ?? DEFAULT_MINIMUM_DURATION_SECONDS;
  return parseRolloutPlan({
    fleet: options.fleet,
    policy: options.policy,
    release: options.release,
    previous: options.previous,
    clients: options.clients,
    steps: ascending(percents, envelope.canaryPercent).map((percent) => ({
      percent,
      minimumDurationSeconds,
      analysis,
    })),
    automaticRollback: envelope.automaticRollback,
    analysisIntervalSeconds: options.analysisIntervalSeconds ?? DEFAULT_ANALYSIS_INTERVAL_SECONDS,
    rollbackTimeoutSeconds: options.rollbackTimeoutSeconds ?? DEFAULT_ROLLBACK_TIMEOUT_SECONDS,
  });
}
