/**
 * The state of a round: plain data, so that a store keeps it with compare-and-set and any process continues it.
 *
 * The sealed set and the accepted set are not lists of their own. From the sealing-off on members' updates do not change;
 * the set is all of them, the accepted set those that the sum did not refuse, and the digests that name both are kept and
 * held against the members whenever a state is read.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { z } from 'zod';
import { FormatError, ParameterError } from '../../errors.js';
import { setDigest } from '../../package/fingerprint.js';
import { closeReasonSchema } from '../../package/messages/close.js';
import { firstRepeated, idSchema, integerSchema, MAX_CUSTODIANS } from '../../package/messages/common.js';
import {
  atMsSchema,
  codeSchema,
  fingerprintSchema,
  type Immutable,
  reasonSchema,
  workerSchema,
} from './fields.js';
import { isBefore, phaseSchema } from './phases.js';
import {
  MAX_ROUND_CLIENTS,
  type RoundSettings,
  roundSettingsSchema,
  storedSettingsSchema,
} from './settings.js';

export const STATE_SCHEMA_VERSION = 1;

/** Refusals that a state lists; of more it keeps the number. */
export const MAX_LISTED_REFUSALS = 64;
/** Of them, those of one client: none can crowd out the others. */
export const MAX_LISTED_REFUSALS_OF_CLIENT = 2;
/** Updates of one client that later ones replaced: each has cost the service its size in storage. */
export const MAX_REPLACEMENTS = 3;
/**
 * Of a replaced update the first 8 bytes of its fingerprint are kept. Whoever finds two updates of its own that share
 * them has the second one taken for the first.
 */
export const REPLACED_DIGITS = 16;

/** Why a round ended without being opened. */
export const FAILURE_CODES = [
  'below-quorum',
  'summing-failed',
  'custodians-missing',
  'burnt',
  'closed-unopened',
  'aborted',
] as const;

const refusalReason = z.strictObject({ code: codeSchema, reason: reasonSchema });

/** The statistics, of those in the update's header, that outlier tests look at. */
export const reportedStatisticsSchema = z.strictObject({
  gradientNormMean: z.number().min(0).optional(),
  gradientNormMax: z.number().min(0).optional(),
});

/** Which outlier test flags an update, and why. */
export const outlierSchema = z.strictObject({
  test: z.string().regex(/^[a-z0-9-]{1,64}$/),
  reason: reasonSchema,
});

/** A client that may send. */
const memberSchema = z.strictObject({
  client: idSchema,
  update: z
    .strictObject({
      fingerprint: fingerprintSchema,
      receivedAtMs: atMsSchema,
      /** 0 where it is left out. */
      stalenessRounds: integerSchema(1).optional(),
      statistics: reportedStatisticsSchema.optional(),
      outlier: outlierSchema.optional(),
      /** The gateway that summed it, and in which partial sum; absent where the client sent it itself. */
      via: z.strictObject({ gateway: idSchema, partialSum: fingerprintSchema }).optional(),
      /** Why the sum could not take it. */
      refused: refusalReason.optional(),
    })
    .optional(),
  /** The beginnings of the fingerprints of updates that a later one replaced. */
  replaced: z
    .array(z.string().regex(/^[0-9a-f]{16}$/))
    .min(1)
    .max(MAX_REPLACEMENTS)
    .optional(),
  /** The worst that happened to what it sent; for its health, where it has no update in the end. */
  mark: z.enum(['turned-away', 'late', 'rejected']).optional(),
});

const refusalSchema = z.strictObject({
  client: idSchema.optional(),
  fingerprint: fingerprintSchema.optional(),
  ...refusalReason.shape,
  atMs: atMsSchema,
});

const stateShape = z.strictObject({
  schemaVersion: z.literal(STATE_SCHEMA_VERSION),
  settings: storedSettingsSchema,
  phase: phaseSchema,
  /** When the round came to each phase that it went through. */
  enteredAtMs: z.partialRecord(phaseSchema, atMsSchema),
  /** By descending priority. */
  members: z.array(memberSchema).min(2).max(MAX_ROUND_CLIENTS),
  /** Updates that were refused on arrival. */
  refusals: z.array(refusalSchema).max(MAX_LISTED_REFUSALS),
  unlistedRefusals: integerSchema(0),
  /** There from the sealing-off on: the digest of the set of all members' updates. */
  sealed: z.strictObject({ set: fingerprintSchema }).optional(),
  /** There once outlier tests have looked at the sealed set: whether the sum leaves out what they flag. */
  outliers: z.strictObject({ action: z.enum(['flag', 'refuse']) }).optional(),
  sum: z
    .strictObject({
      attempt: integerSchema(1, 1_000),
      /** Who has claimed the attempt. */
      worker: workerSchema.optional(),
      /** When the attempt is over, if nothing is heard until then. */
      leaseEndsMs: atMsSchema,
    })
    .optional(),
  aggregate: z
    .strictObject({
      fingerprint: fingerprintSchema,
      /** The digest of the accepted set. */
      set: fingerprintSchema,
      worker: workerSchema,
      answersDueMs: atMsSchema.optional(),
    })
    .optional(),
  answers: z
    .array(z.strictObject({ custodian: idSchema, fingerprint: fingerprintSchema, atMs: atMsSchema }))
    .max(MAX_CUSTODIANS),
  /** The last refusal of each custodian that has not answered. */
  custodianRefusals: z
    .array(z.strictObject({ custodian: idSchema, ...refusalReason.shape, atMs: atMsSchema }))
    .max(MAX_CUSTODIANS),
  /** The owner's close record. */
  close: z
    .strictObject({
      record: fingerprintSchema,
      /** Whether it lists the accepted set, or none. */
      opened: z.boolean(),
      reason: closeReasonSchema.optional(),
    })
    .optional(),
  release: z.strictObject({ fingerprint: fingerprintSchema }).optional(),
  failure: z
    .strictObject({
      code: z.enum(FAILURE_CODES),
      message: z.string().min(1).max(4096),
    })
    .optional(),
});

type StateShape = z.infer<typeof stateShape>;

export type RoundState = Immutable<StateShape>;
export type Member = RoundState['members'][number];
export type SentUpdate = NonNullable<Member['update']>;
export type Outlier = NonNullable<SentUpdate['outlier']>;
export type Refusal = RoundState['refusals'][number];
export type Failure = NonNullable<RoundState['failure']>;
export type FailureCode = Failure['code'];
export type ReportedStatistics = Immutable<z.infer<typeof reportedStatisticsSchema>>;

/** A member that has sent. */
export interface Sender {
  readonly client: string;
  readonly update: SentUpdate;
}

/** All updates that the round has; from the sealing-off on, the sealed set. By descending priority. */
export function sentUpdates({ members }: Pick<RoundState, 'members'>): Sender[] {
  return members.flatMap(({ client, update }) => (update === undefined ? [] : [{ client, update }]));
}

/** The files that hold the updates: what clients sent themselves, and each partial sum once. */
export function sentFiles(state: Pick<RoundState, 'members'>) {
  const senders = sentUpdates(state);
  const partialSums = new Set(senders.flatMap(({ update: { via } }) => via?.partialSum ?? []));
  const own = senders.filter(({ update: { via } }) => via === undefined);
  return { updates: own.map(({ update }) => update.fingerprint), partialSums: [...partialSums] };
}

/** The updates in the aggregate: the sealed set without what the sum refused. Empty while there is no aggregate. */
export function acceptedUpdates(state: Pick<RoundState, 'members' | 'aggregate'>): Sender[] {
  if (state.aggregate === undefined) return [];
  return sentUpdates(state).filter(({ update }) => update.refused === undefined);
}

/** The digest of a set of fingerprints, none twice, at least one, as aggregates and close records have it. */
export function digestOfSet(fingerprints: readonly string[]): string {
  return Buffer.from(setDigest(fingerprints.map((digits) => Buffer.from(digits, 'hex')))).toString('hex');
}

export function digestOfUpdates(senders: readonly Sender[]): string {
  return digestOfSet(senders.map(({ update }) => update.fingerprint));
}

export const roundStateSchema = stateShape.superRefine((state, context) => {
  for (const { path, message } of contradictions(state)) {
    context.addIssue({ code: 'custom', path: [path], message });
  }
});

interface Contradiction {
  readonly path: keyof StateShape;
  readonly message: string;
}

/** What no sequence of events leads to: a state that has it was damaged, or edited by hand. */
function contradictions(state: StateShape): Contradiction[] {
  return [...missingParts(state), ...wrongMembers(state), ...wrongSets(state)];
}

function missingParts(state: StateShape): Contradiction[] {
  const { phase, sealed, outliers, sum, aggregate, close, failure, release } = state;
  const found: Contradiction[] = [];
  const expect = (path: keyof StateShape, present: boolean, needed: boolean, allowed = needed): void => {
    if (needed && !present) found.push({ path, message: `is missing in the phase ${phase}` });
    if (!allowed && present) found.push({ path, message: `cannot be there in the phase ${phase}` });
  };
  const isSealed = phase !== 'failed' && !isBefore(phase, 'sealed-off');
  const isSummed = phase !== 'failed' && !isBefore(phase, 'awaiting-answers');
  const isOpened = !isBefore(phase, 'opened');
  expect('sealed', sealed !== undefined, isSealed, isSealed || phase === 'failed');
  expect('outliers', outliers !== undefined, false, sealed !== undefined);
  expect('sum', sum !== undefined, isSealed, sealed !== undefined);
  expect('aggregate', aggregate !== undefined, isSummed, isSummed || phase === 'failed');
  expect('close', close?.opened === true, isOpened);
  expect('close', close !== undefined, isOpened, isOpened || phase === 'failed');
  expect('failure', failure !== undefined, phase === 'failed', !isBefore(phase, 'failed'));
  expect('release', release !== undefined, phase === 'released');
  return found;
}

function wrongMembers({ members, settings, sealed, outliers, answers }: StateShape): Contradiction[] {
  const found: Contradiction[] = [];
  const sent = sentUpdates({ members });
  const client = firstRepeated(members.map((member) => member.client));
  if (client !== undefined) found.push({ path: 'members', message: `list "${client}" twice` });
  const fingerprint = firstRepeated(sent.map(({ update }) => update.fingerprint));
  if (fingerprint !== undefined) found.push({ path: 'members', message: `have ${fingerprint} twice` });
  if (sent.length > settings.maxClients) {
    found.push({
      path: 'members',
      message: `have ${sent.length} updates; ${settings.maxClients} are allowed`,
    });
  }
  if (sealed === undefined && sent.some(({ update }) => update.refused !== undefined)) {
    found.push({ path: 'members', message: 'have updates refused by a sum before there can be one' });
  }
  if (outliers === undefined && sent.some(({ update }) => update.outlier !== undefined)) {
    found.push({ path: 'members', message: 'have flagged updates before a test has looked at them' });
  }
  const custodian = firstRepeated(answers.map((answer) => answer.custodian));
  if (custodian !== undefined) found.push({ path: 'answers', message: `of "${custodian}" occur twice` });
  return found;
}

function wrongSets(state: StateShape): Contradiction[] {
  const found: Contradiction[] = [];
  const check = (path: 'sealed' | 'aggregate', set: string, senders: readonly Sender[]): void => {
    if (senders.length < state.settings.quorum) {
      found.push({ path, message: `has ${senders.length} updates; the quorum is ${state.settings.quorum}` });
    } else if (firstRepeated(senders.map(({ update }) => update.fingerprint)) === undefined) {
      if (digestOfUpdates(senders) !== set) found.push({ path, message: 'is not the set of the updates' });
    }
  };
  if (state.sealed !== undefined) check('sealed', state.sealed.set, sentUpdates(state));
  if (state.aggregate !== undefined) check('aggregate', state.aggregate.set, acceptedUpdates(state));
  return found;
}

/**
 * A planned round.
 *
 * @param plannedAtMs milliseconds since 1970
 * @throws ParameterError `round.bad-settings`
 */
export function plannedRound(settings: RoundSettings, plannedAtMs: number): RoundState {
  const parsed = roundSettingsSchema.safeParse(settings);
  if (!parsed.success) {
    throw new ParameterError(
      'round.bad-settings',
      `The round cannot be run like this:\n${z.prettifyError(parsed.error)}`,
    );
  }
  const { eligible, ...stored } = parsed.data;
  return {
    schemaVersion: STATE_SCHEMA_VERSION,
    settings: stored,
    phase: 'planned',
    enteredAtMs: { planned: plannedAtMs },
    members: eligible.map((client) => ({ client })),
    refusals: [],
    unlistedRefusals: 0,
    answers: [],
    custodianRefusals: [],
  };
}

/** Far above the longest state; what inflates to more is none. */
const MAX_STATE_CHARACTERS = 4 * 1024 * 1024;

/**
 * A state as a store keeps it: JSON, deflated (raw, RFC 1951), since fingerprints in hexadecimal are twice as long as they
 * need be. At most 512 KiB, for any settings and events.
 */
export function encodeRoundState(state: RoundState): Uint8Array {
  return deflateRawSync(JSON.stringify(state), { level: 1 });
}

/**
 * @throws FormatError `round.state-version` for the state of another version of this software, `round.state-malformed`
 *   for one that is damaged or contradicts itself
 */
export function decodeRoundState(bytes: Uint8Array): RoundState {
  let value: unknown;
  try {
    const text = inflateRawSync(bytes, { maxOutputLength: MAX_STATE_CHARACTERS });
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch (cause) {
    throw malformed('it is no deflated JSON', cause);
  }
  const version = z.looseObject({ schemaVersion: z.int() }).safeParse(value);
  if (version.success && version.data.schemaVersion !== STATE_SCHEMA_VERSION) {
    throw new FormatError(
      'round.state-version',
      `The round's state has version ${version.data.schemaVersion}; this software reads ${STATE_SCHEMA_VERSION}. Run the version that wrote it until the round has ended.`,
    );
  }
  const parsed = roundStateSchema.safeParse(value);
  if (!parsed.success) throw malformed(z.prettifyError(parsed.error), parsed.error);
  return parsed.data;
}

function malformed(detail: string, cause: unknown): FormatError {
  return new FormatError(
    'round.state-malformed',
    `The round's state is damaged: ${detail}. Restore the store from a backup.`,
    { cause },
  );
}
