/**
 * The state of a rollout: plain JSON, so that any process of the server can go on with it. Whoever stores it compares and
 * sets: two processes that apply two events to one state would lose one of them.
 */
import { z } from 'zod';
import { FormatError } from '../errors.js';
import { idSchema, integerSchema, MAX_CLIENTS, unixMsSchema } from '../package/messages/common.js';
import {
  fingerprintSchema,
  type ReleaseReference,
  releaseReferenceSchema,
} from '../package/release-reference.js';
import { evidenceSchema } from './evidence.js';
import { type RolloutPlan, type RolloutStep, rolloutPlanSchema } from './plan.js';

export const ROLLOUT_STATE_VERSION = 1;

const stepIndexSchema = integerSchema(0, 99);

/** Why a rollout went back, or wanted to. */
export const ROLLBACK_CAUSES = ['breach', 'missing-telemetry', 'verdict-failed', 'command', 'abort'] as const;
export type RollbackCause = (typeof ROLLBACK_CAUSES)[number];

export const PAUSE_REASONS = [
  'operator',
  'inconclusive',
  'missing-telemetry',
  'breach',
  'verdict-failed',
] as const;
export type PauseReason = (typeof PAUSE_REASONS)[number];

const phaseSchema = z.discriminatedUnion('name', [
  /** Waits for a passed verdict. Nobody is offered the release. */
  z.strictObject({ name: z.literal('pending') }),
  /** Step 0. */
  z.strictObject({ name: z.literal('canary') }),
  z.strictObject({ name: z.literal('progressing'), step: integerSchema(1, 99) }),
  /** Nobody more is offered the release; the step is watched as before. */
  z.strictObject({ name: z.literal('paused'), reason: z.enum(PAUSE_REASONS), from: stepIndexSchema }),
  z.strictObject({ name: z.literal('full') }),
  z.strictObject({ name: z.literal('rolling-back') }),
  z.strictObject({ name: z.literal('rolled-back') }),
  z.strictObject({ name: z.literal('aborted'), reason: z.enum(['operator', 'superseded']) }),
  z.strictObject({ name: z.literal('failed'), reason: z.enum(['verdict-failed', 'rollback-unconfirmed']) }),
]);

export type RolloutPhase = Readonly<z.infer<typeof phaseSchema>>;

/** On the machine's clock (`observedMs`), not on the wall's. */
const observedMsSchema = integerSchema(0, Number.MAX_SAFE_INTEGER);

const clientSchema = z.strictObject({
  id: idSchema,
  enrolled: z.boolean(),
  /** Whether the release was encrypted to it. */
  recipient: z.boolean(),
  /** It is in the step: it may have the release. Never taken back. */
  offered: z.boolean(),
  /** It may run an adapter that a rollback withdraws, whether it was offered one or says so itself. */
  exposed: z.boolean(),
  /** Of its newest report; -1 before the first. */
  sequence: integerSchema(-1, Number.MAX_SAFE_INTEGER),
  reported: releaseReferenceSchema.optional(),
  /** When the newest report came, milliseconds since 1970. */
  lastSeenMs: unixMsSchema.optional(),
  /** When its newest telemetry of the release came. */
  telemetryMs: observedMsSchema.optional(),
  /** Since the last analysis that concluded something. */
  window: evidenceSchema.optional(),
});

export type RolloutClient = Readonly<z.infer<typeof clientSchema>>;

const stepProgressSchema = z.strictObject({
  index: stepIndexSchema,
  enteredMs: observedMsSchema,
  nextAnalysisMs: observedMsSchema,
  /** From here on silence counts: the start of the step, or when somebody resumed it. */
  silenceFromMs: observedMsSchema,
  failures: integerSchema(0),
  inconclusives: integerSchema(0),
  /** Of the last analysis that concluded something. */
  conclusion: z.enum(['passed', 'failed']).optional(),
  /** Broke its limits, and passed no analysis since. */
  breached: z.boolean(),
});

export type StepProgress = Readonly<z.infer<typeof stepProgressSchema>>;

const rollbackSchema = z.strictObject({
  cause: z.enum(ROLLBACK_CAUSES),
  /** Adapters that the owner's rollback must withdraw, ascending. */
  withdrawn: z.array(fingerprintSchema).min(1).max(4096),
  endsAs: z.enum(['rolled-back', 'aborted']),
  dueMs: observedMsSchema,
  /** The owner's release that goes back, once there is one. */
  release: releaseReferenceSchema.optional(),
});

export type RolloutRollback = Readonly<z.infer<typeof rollbackSchema>>;

const stateShape = z.strictObject({
  schemaVersion: z.literal(ROLLOUT_STATE_VERSION),
  plan: rolloutPlanSchema,
  phase: phaseSchema,
  clock: z.strictObject({
    /** The latest time that an event named. */
    nowMs: unixMsSchema,
    /** Time that was watched over: a gap between events counts for one analysis interval at most. */
    observedMs: observedMsSchema,
  }),
  verdict: z
    .strictObject({ outcome: z.enum(['passed', 'failed', 'inconclusive']), verdict: fingerprintSchema })
    .optional(),
  /** The step that is, or was last, under way. */
  step: stepProgressSchema.optional(),
  /** In the order in which they get the release; clients that are enrolled later come last. */
  clients: z.array(clientSchema).min(1).max(MAX_CLIENTS),
  rollback: rollbackSchema.optional(),
  supersededBy: releaseReferenceSchema.optional(),
});

type StateShape = Readonly<z.infer<typeof stateShape>>;

export interface RolloutState extends Omit<StateShape, 'plan' | 'clients'> {
  readonly plan: RolloutPlan;
  readonly clients: readonly RolloutClient[];
}

const RUNNING_PHASES: readonly RolloutPhase['name'][] = ['canary', 'progressing'];
const ENDED_PHASES: readonly RolloutPhase['name'][] = ['rolled-back', 'aborted', 'failed'];
const ROLLBACK_PHASES: readonly RolloutPhase['name'][] = ['rolling-back', ...ENDED_PHASES];

/** The step that a phase is in. */
function phaseStep(phase: RolloutPhase): number | undefined {
  switch (phase.name) {
    case 'canary':
      return 0;
    case 'progressing':
      return phase.step;
    case 'paused':
      return phase.from;
    default:
      return undefined;
  }
}

/** What no transition makes: a state like this was damaged or written by hand. */
function* stateFaults({
  plan,
  phase,
  step,
  verdict,
  clients,
  rollback,
}: StateShape): Generator<string, void, void> {
  const current = phaseStep(phase);
  if (current !== undefined && step?.index !== current) yield 'the phase and the step disagree';
  if (step !== undefined && step.index >= plan.steps.length) yield 'there is no such step in the plan';
  if (phase.name === 'full' && step?.index !== plan.steps.length - 1) yield 'full without the last step';
  if ((isWatched(phase) || phase.name === 'full') && verdict === undefined) yield 'offered without a verdict';
  if (isRunning(phase) && verdict?.outcome !== 'passed') yield 'running without a passed verdict';
  if (new Set(clients.map(({ id }) => id)).size !== clients.length) yield 'a client is listed twice';
  if (clients.some(({ offered, exposed }) => offered && !exposed))
    yield 'a client was offered, yet not exposed';
  if (step === undefined && clients.some(({ offered }) => offered)) yield 'offered before the canary';
  if (rollback !== undefined && !ROLLBACK_PHASES.includes(phase.name)) yield 'a rollback in another phase';
  if (phase.name === 'rolling-back' && rollback === undefined) yield 'rolling back from nothing';
}

export const rolloutStateSchema = stateShape.superRefine((state, context) => {
  for (const message of stateFaults(state)) context.addIssue({ code: 'custom', message });
});

/** @throws FormatError `rollout.bad-state` */
export function parseRolloutState(input: unknown): RolloutState {
  const parsed = rolloutStateSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new FormatError(
    'rollout.bad-state',
    `The stored rollout cannot be continued: ${z.prettifyError(parsed.error)}. Restore it from a backup; until then offer ` +
      'no client a newer release.',
  );
}

export function isRunning(phase: RolloutPhase): boolean {
  return RUNNING_PHASES.includes(phase.name);
}

/** Running or paused: robots run the release, and the step is watched. */
export function isWatched(phase: RolloutPhase): boolean {
  return isRunning(phase) || phase.name === 'paused';
}

/** Nothing happens any more, but that late clients confirm. */
export function hasEnded(phase: RolloutPhase): boolean {
  return ENDED_PHASES.includes(phase.name);
}

/** The step that is watched, with its progress; undefined in other phases. */
export function watchedStep(
  state: RolloutState,
): { readonly step: RolloutStep; readonly progress: StepProgress } | undefined {
  const progress = isWatched(state.phase) ? state.step : undefined;
  const step = progress && state.plan.steps[progress.index];
  return progress && step && { step, progress };
}

export function findClient(state: RolloutState, id: string): RolloutClient | undefined {
  return state.clients.find((client) => client.id === id);
}

/** The state with one client replaced. */
export function withClient(state: RolloutState, changed: RolloutClient): RolloutState {
  return { ...state, clients: state.clients.map((client) => (client.id === changed.id ? changed : client)) };
}

/** Clients that are in the step and can report. */
export function stepMembers(state: RolloutState): RolloutClient[] {
  return state.clients.filter(({ enrolled, offered }) => enrolled && offered);
}

/** Adapters that a rollback of this rollout withdraws, ascending. */
export function adaptersToWithdraw({ release, carried }: RolloutPlan): string[] {
  return [...new Set([release.adapterFingerprint, ...(carried?.adapterFingerprints ?? [])])].sort();
}

/** What the server gives a client, and what its report is held against; undefined for one that is not enrolled. */
export function expectedRelease(state: RolloutState, clientId: string): ReleaseReference | undefined {
  const client = findClient(state, clientId);
  return client === undefined ? undefined : expectedOf(state, client);
}

export function expectedOf(
  { plan, rollback }: RolloutState,
  { id, enrolled, offered }: RolloutClient,
): ReleaseReference | undefined {
  if (!enrolled) return undefined;
  if (rollback !== undefined) return rollback.release ?? plan.previous;
  if (offered) return plan.release;
  return plan.carried?.clients.includes(id) === true ? plan.carried.release : plan.previous;
}
