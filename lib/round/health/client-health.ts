/**
 * How well a client does its part, round after round, the last ones counting most.
 *
 * It decides who comes first where a round holds fewer than the fleet, and in the end who is left out. It is no weight: a
 * client's share of the average is for the client and the owner to set, not for whoever runs the service.
 *
 * Everything here is arithmetic on what a store keeps; rounds are the clock. Keep one record for a client and a policy.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { FormatError, ParameterError } from '../../errors.js';
import { idSchema, integerSchema, roundSchema } from '../../package/messages/common.js';
import { OBSERVATIONS, type Observation } from './observations.js';

export const HEALTH_SCHEMA_VERSION = 1;

/** What a client scores of whom nothing is known, or no longer. */
const PRIOR_SCORE = 0.75;
/** As many observations that is worth. */
const PRIOR_WEIGHT = 1;

/** Counts decay towards a sum of 1 / (1 - 2^(-1 / half-life)) at most, which is below this for every half-life. */
const weightSchema = z.number().min(0).max(2_000_000);

export const clientHealthSchema = z.strictObject({
  schemaVersion: z.literal(HEALTH_SCHEMA_VERSION),
  /** Counts of what it did, as they stood in `lastRound`, earlier rounds counting for less. */
  counts: z.strictObject({
    success: weightSchema,
    late: weightSchema,
    absent: weightSchema,
    rejected: weightSchema,
  }),
  /** Rounds that it was observed in, each counting in full. */
  observedRounds: integerSchema(1),
  lastRound: roundSchema,
  /** Whether it is left out. */
  suspended: z.boolean(),
});

export type ClientHealth = Readonly<z.infer<typeof clientHealthSchema>>;

export const healthSettingsSchema = z
  .strictObject({
    /** Rounds after which an observation counts half. */
    halfLifeRounds: z.number().min(0.1).max(1_000_000),
    /** Rounds that a client must have been observed in before it is suspended. */
    minObservedRounds: integerSchema(1, 1_000),
    suspendBelow: z.number().min(0).max(1),
    /** Above `suspendBelow`, so that nobody is suspended and admitted in turn. */
    resumeAbove: z.number().min(0).max(1),
  })
  .refine(({ suspendBelow, resumeAbove }) => suspendBelow < resumeAbove && resumeAbove < PRIOR_SCORE, {
    error: `must have suspendBelow < resumeAbove < ${PRIOR_SCORE}: a suspended client's score returns to that, and no further`,
  });

export type HealthSettings = Readonly<z.infer<typeof healthSettingsSchema>>;

/**
 * What a round is worth. Absence costs the others the wait until the deadline, lateness the service a look at an update
 * that is too late; both cost rank, but neither suspends alone. What does is updates that do not hold.
 */
const CREDIT: Readonly<Record<Observation, number>> = { success: 1, late: 0.5, absent: 0.25, rejected: 0 };

export const DEFAULT_HEALTH_SETTINGS: HealthSettings = {
  halfLifeRounds: 10,
  minObservedRounds: 3,
  suspendBelow: 0.2,
  resumeAbove: 0.5,
};

/**
 * Adds what a client did in a round. A round that is not after the last one changes nothing: it was counted, or it came
 * to its end so late that others have.
 *
 * @throws ParameterError `health.bad-settings`
 */
export function observe(
  health: ClientHealth | undefined,
  round: number,
  kind: Observation,
  settings: HealthSettings = DEFAULT_HEALTH_SETTINGS,
): ClientHealth {
  requireSettings(settings);
  if (health !== undefined && round <= health.lastRound) return health;
  const counts = decayed(health, round, settings);
  return {
    schemaVersion: HEALTH_SCHEMA_VERSION,
    counts: { ...counts, [kind]: counts[kind] + 1 },
    observedRounds: (health?.observedRounds ?? 0) + 1,
    lastRound: round,
    suspended: health?.suspended ?? false,
  };
}

/**
 * 0 (everything is rejected) to 1 (everything succeeds), in `round`; what lies in the past counts for less and less, and
 * the score returns to 0.75.
 */
export function healthScore(
  health: ClientHealth | undefined,
  round: number,
  settings: HealthSettings = DEFAULT_HEALTH_SETTINGS,
): number {
  const counts = decayed(health, round, settings);
  const weight = OBSERVATIONS.reduce((sum, kind) => sum + counts[kind], PRIOR_WEIGHT);
  const credit = OBSERVATIONS.reduce(
    (sum, kind) => sum + CREDIT[kind] * counts[kind],
    PRIOR_WEIGHT * PRIOR_SCORE,
  );
  return credit / weight;
}

/**
 * What to do about a client before `round`. Only a proposal: the owner's roster says who belongs to the fleet. A suspended
 * client is not observed, so time brings it back, on probation: its bad rounds count less, but they still count.
 */
export function suspensionOf(
  health: ClientHealth | undefined,
  round: number,
  settings: HealthSettings = DEFAULT_HEALTH_SETTINGS,
): 'suspend' | 'resume' | 'keep' {
  requireSettings(settings);
  if (health === undefined) return 'keep';
  const score = healthScore(health, round, settings);
  if (health.suspended) return score > settings.resumeAbove ? 'resume' : 'keep';
  const isKnown = health.observedRounds >= settings.minObservedRounds;
  return isKnown && score < settings.suspendBelow ? 'suspend' : 'keep';
}

/** The record of a client after what was proposed has been done. */
export function withSuspension(health: ClientHealth, suspended: boolean): ClientHealth {
  return health.suspended === suspended ? health : { ...health, suspended };
}

/**
 * Clients by descending priority: the healthiest first, those of equal health in an order that changes with the round, so
 * that nobody is always the last.
 */
export function byPriority(
  clients: readonly { readonly client: string; readonly health?: ClientHealth | undefined }[],
  round: number,
  settings: HealthSettings = DEFAULT_HEALTH_SETTINGS,
): string[] {
  return clients
    .map(({ client, health }) => ({
      client,
      score: healthScore(health, round, settings),
      lot: createHash('sha256')
        .update(`${round} ${idSchema.parse(client)}`)
        .digest(),
    }))
    .sort((a, b) => b.score - a.score || Buffer.compare(a.lot, b.lot))
    .map(({ client }) => client);
}

function decayed(
  health: ClientHealth | undefined,
  round: number,
  { halfLifeRounds }: HealthSettings,
): Record<Observation, number> {
  const { counts, lastRound } = health ?? {
    counts: { success: 0, late: 0, absent: 0, rejected: 0 },
    lastRound: round,
  };
  const factor = 2 ** (-Math.max(0, round - lastRound) / halfLifeRounds);
  return {
    success: counts.success * factor,
    late: counts.late * factor,
    absent: counts.absent * factor,
    rejected: counts.rejected * factor,
  };
}

function requireSettings(settings: HealthSettings): void {
  const parsed = healthSettingsSchema.safeParse(settings);
  if (parsed.success) return;
  throw new ParameterError(
    'health.bad-settings',
    `Clients' health cannot be kept like this:\n${z.prettifyError(parsed.error)}`,
  );
}

export function encodeClientHealth(health: ClientHealth): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(health));
}

/** @throws FormatError `health.malformed` */
export function decodeClientHealth(bytes: Uint8Array): ClientHealth {
  try {
    return clientHealthSchema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (cause) {
    throw new FormatError(
      'health.malformed',
      "The record of a client's health is damaged. Remove it: the client starts anew.",
      { cause },
    );
  }
}
