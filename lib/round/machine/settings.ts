/** What is fixed about a round before it begins: from its plan, its roster and the policy. */
import { z } from 'zod';
import {
  custodianIndexSchema,
  firstRepeated,
  idSchema,
  integerSchema,
  MAX_CUSTODIANS,
  roundFields,
} from '../../package/messages/common.js';
import { roundIntervalSecondsSchema } from './cadence.js';
import { atMsSchema, fingerprintSchema, type Immutable } from './fields.js';

/**
 * Clients of one cohort's round at most: with the longest names and a reason for each, the state fits a value of the store
 * (512 KiB) with room to spare. A larger fleet runs as several cohorts.
 */
export const MAX_ROUND_CLIENTS = 1024;

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const YEAR_MS = 366 * DAY_MS;

/** The cohort that a burnt round's bisection began with, and how often it was halved since. */
export const lineageSchema = z.strictObject({ root: idSchema, depth: integerSchema(1, 64) });

export type Lineage = z.infer<typeof lineageSchema>;

const settingsShape = z.strictObject({
  key: z.strictObject(roundFields),
  /** Fingerprint of the round plan. */
  plan: fingerprintSchema,
  opensAtMs: atMsSchema,
  /** Updates that come at this time or later are late. */
  deadlineMs: atMsSchema,
  quorum: integerSchema(2, MAX_ROUND_CLIENTS),
  /** Updates that the round holds at most. */
  maxClients: integerSchema(2, MAX_ROUND_CLIENTS),
  /** Answers that open a round. */
  threshold: custodianIndexSchema,
  custodians: z.array(idSchema).min(1).max(MAX_CUSTODIANS),
  /** Clients that may send, by descending priority. Those beyond the first `maxClients` are reserves. */
  eligible: z.array(idSchema).min(2).max(MAX_ROUND_CLIENTS),
  /** Until then reserves wait; absent: half of the time from the opening to the deadline. */
  reservesFromMs: atMsSchema.optional(),
  /** What becomes of a second, different update of one client while the round is open. */
  secondUpdate: z.enum(['replace', 'refuse']),
  /** The plan's; absent: any staleness. */
  maxStalenessRounds: integerSchema(0).optional(),
  roundIntervalSeconds: roundIntervalSecondsSchema,
  /** How long a worker keeps the sum to itself without a sign of life, and how long the sum waits for one. */
  sumLeaseMs: integerSchema(1_000, DAY_MS),
  maxSumAttempts: integerSchema(1, 1_000),
  /** How long custodians have from the aggregate on; absent: until the owner closes the round. */
  answerWindowMs: integerSchema(MINUTE_MS, YEAR_MS).optional(),
  /** There where the cohort comes from the bisection of a burnt round. */
  lineage: lineageSchema.optional(),
});

export const roundSettingsSchema = settingsShape.superRefine((settings, context) => {
  const refuse = (path: string, message: string): void => {
    context.addIssue({ code: 'custom', path: [path], message });
  };
  const { quorum, maxClients, threshold, eligible, custodians, opensAtMs, deadlineMs } = settings;
  if (opensAtMs >= deadlineMs) refuse('deadlineMs', 'must come after opensAtMs');
  if (quorum > maxClients) refuse('quorum', `exceeds maxClients = ${maxClients}`);
  if (quorum > eligible.length) refuse('eligible', `has ${eligible.length} clients; the quorum is ${quorum}`);
  if (threshold > custodians.length) refuse('threshold', `exceeds the ${custodians.length} custodians`);
  for (const list of ['eligible', 'custodians'] as const) {
    const repeated = firstRepeated(settings[list]);
    if (repeated !== undefined) refuse(list, `"${repeated}" occurs twice`);
  }
});

export type RoundSettings = Immutable<z.infer<typeof settingsShape>>;

/** What a state keeps of them: the eligible clients are its members. */
export const storedSettingsSchema = settingsShape.omit({ eligible: true });

export type StoredSettings = Immutable<z.infer<typeof storedSettingsSchema>>;

/** When reserves may send. */
export function reservesFromMs({ opensAtMs, deadlineMs, reservesFromMs }: StoredSettings): number {
  return reservesFromMs ?? Math.floor((opensAtMs + deadlineMs) / 2);
}
