/**
 * What becomes of a round that one of its clients has spoilt.
 *
 * The owner's check failed: some update does not hold what it should, and a sum does not say whose. So the cohort goes on
 * as two, each with a quorum of those who were in the sum. The half that opens is cleared; the other is halved again.
 * With one culprit among N clients and a quorum of k, about log2(N / k) rounds leave fewer than 2k suspects. No further:
 * a sum of fewer than the quorum is not to be opened, whoever is in it.
 */
import { createHash } from 'node:crypto';
import { encodeFields } from '../../custody/fields.js';
import { type RoundKey, roundFields } from '../../custody/round-key.js';
import { idSchema } from '../../package/messages/common.js';
import type { Lineage } from './settings.js';
import type { RoundState } from './state.js';
import { acceptedUpdates } from './state.js';

/** Codes of the owner's checks that a client's update can fail, which are how the reason of a close record begins. */
const BURNT_CODES = [
  'open.residual-too-large',
  'open.secret-sum-out-of-range',
  'open.no-consistent-answers',
] as const;

/** Halves of halves of the largest cohort come to an end long before. */
const MAX_DEPTH = 16;

export interface SpoiltRound {
  readonly key: RoundKey;
  readonly quorum: number;
  readonly lineage?: Lineage | undefined;
  /** Clients whose updates were in the sum. */
  readonly summed: readonly string[];
  /** The other clients of the cohort, who are under no suspicion. */
  readonly others: readonly string[];
}

export interface HalfCohort {
  readonly cohort: string;
  readonly clients: readonly string[];
  readonly lineage: Lineage;
}

/** Whether the reason of a close record that opened nothing says that the owner's check failed: it begins with the code. */
export function isBurntReason(reason: string): boolean {
  return BURNT_CODES.some((code) => reason === code || reason.startsWith(`${code}:`));
}

/**
 * The two cohorts that a spoilt round continues as, or undefined where its suspects cannot be split any further: each
 * half needs a quorum of them, and a name that fits.
 *
 * The split depends on the round, so that who meets whom is not always the same, and on nothing else that changes: every
 * process splits alike.
 */
export function bisect(spoilt: SpoiltRound): readonly [HalfCohort, HalfCohort] | undefined {
  const { key, quorum, lineage, summed, others } = spoilt;
  const depth = (lineage?.depth ?? 0) + 1;
  const names = [`${key.cohort}.1`, `${key.cohort}.2`] as const;
  const fits = names.every((name) => idSchema.safeParse(name).success);
  if (summed.length < 2 * quorum || depth > MAX_DEPTH || !fits) return undefined;
  const [first, second] = halves(key, summed);
  // The larger share of the others goes where the smaller one of the suspects went.
  const [fewer, more] = halves(key, others);
  const half = (cohort: string, clients: readonly string[]): HalfCohort => ({
    cohort,
    clients,
    lineage: { root: lineage?.root ?? key.cohort, depth },
  });
  return [half(names[0], [...first, ...more]), half(names[1], [...second, ...fewer])];
}

/** Two lists that differ in length by one at most, the first being the shorter one. */
function halves(key: RoundKey, clients: readonly string[]): readonly [string[], string[]] {
  const ordered = clients
    .map((client) => ({ client, place: placeOf(key, client) }))
    .sort((a, b) => Buffer.compare(a.place, b.place))
    .map(({ client }) => client);
  const middle = Math.floor(ordered.length / 2);
  return [ordered.slice(0, middle), ordered.slice(middle)];
}

function placeOf(key: RoundKey, client: string): Buffer {
  const fields = encodeFields('tensorguard-native v1 bisection', [...roundFields(key), ['client', client]]);
  return createHash('sha256').update(fields).digest();
}

/** What bisection needs to know of a round. */
export function spoiltRound(state: RoundState): SpoiltRound {
  const { key, quorum, lineage } = state.settings;
  const summed = acceptedUpdates(state).map(({ client }) => client);
  const suspected = new Set(summed);
  const others = state.members.map(({ client }) => client).filter((client) => !suspected.has(client));
  return { key, quorum, ...(lineage !== undefined && { lineage }), summed, others };
}

/** The clients one of whom spoilt the round, by descending priority; empty where nobody did. */
export function suspects(state: RoundState): string[] {
  return state.failure?.code === 'burnt' ? acceptedUpdates(state).map(({ client }) => client) : [];
}
