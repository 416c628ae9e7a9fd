/** Updates that arrive: which the round takes, and what it says to the others. */
import { RefusedError } from '../../errors.js';
import type { EventOf } from './events.js';
import { shortReason } from './fields.js';
import { requireRunning, sealOff } from './moves.js';
import { isBefore } from './phases.js';
import { reservesFromMs } from './settings.js';
import {
  MAX_LISTED_REFUSALS,
  MAX_LISTED_REFUSALS_OF_CLIENT,
  MAX_REPLACEMENTS,
  type Member,
  REPLACED_DIGITS,
  type Refusal,
  type RoundState,
  type SentUpdate,
  sentUpdates,
} from './state.js';

type Received = EventOf<'update-received'>;
/** What a round takes of an update, by whichever way it came. */
export type ReceivedUpdate = Omit<Received, 'type'>;
type Mark = NonNullable<Member['mark']>;

/**
 * Takes an update, once and for ever or until its client replaces it, and seals the round off if nobody else is to come.
 *
 * @throws RefusedError `round.client-not-eligible`, `round.update-replaced`, `round.not-open`, `round.ended`, `round.full`,
 *   `round.late`, `round.too-stale`, `round.fingerprint-taken`, `round.second-update`, `round.too-many-replacements`,
 *   `round.reserve-not-yet`
 */
export function receiveUpdate(state: RoundState, event: Received): RoundState {
  const index = indexOf(state, event.client);
  const member = state.members[index] as Member;
  if (member.update?.fingerprint === event.fingerprint) return state;
  if (member.replaced?.includes(beginning(event.fingerprint))) {
    throw new RefusedError(
      'round.update-replaced',
      `A later update of "${event.client}" has replaced this one, and counts. Do not send it again.`,
    );
  }
  requireReceiving(state, event.atMs);
  requireSendable(state, event);
  const changed: RoundState = {
    ...state,
    members: state.members.with(
      index,
      member.update === undefined
        ? { ...member, update: sentUpdate(event) }
        : withSecond(state, member, member.update, event),
    ),
  };
  return sealOffIfComplete(changed, event.atMs);
}

/** @throws RefusedError `round.client-not-eligible` */
function indexOf({ members }: RoundState, client: string): number {
  const index = members.findIndex((member) => member.client === client);
  if (index >= 0) return index;
  throw new RefusedError(
    'round.client-not-eligible',
    `"${client}" is not among the clients of this round. Take the plan of its own cohort.`,
  );
}

/** @throws RefusedError `round.not-open`, `round.ended`, `round.full`, `round.late` */
export function requireReceiving(state: RoundState, atMs: number): void {
  const { opensAtMs, deadlineMs, maxClients } = state.settings;
  if (state.phase === 'open') return;
  if (state.phase === 'planned') {
    throw new RefusedError(
      'round.not-open',
      `The round opens at ${new Date(opensAtMs).toISOString()}. Send the update then.`,
    );
  }
  requireRunning(state);
  if (atMs < deadlineMs && sentUpdates(state).length >= maxClients) {
    throw new RefusedError(
      'round.full',
      `The round has the ${maxClients} updates that it can hold. Wait for its close record, then seal the delta for the next round.`,
    );
  }
  throw new RefusedError(
    'round.late',
    'The round is sealed off, and its set does not change. Wait for its close record, then seal the delta for the next round.',
  );
}

/**
 * Whether the round takes such an update of this client, whatever it has of it already.
 *
 * @returns the client's place among the members
 * @throws RefusedError `round.client-not-eligible`, `round.too-stale`, `round.fingerprint-taken`, `round.reserve-not-yet`
 */
export function requireSendable(state: RoundState, event: ReceivedUpdate): number {
  const { members, settings } = state;
  const { maxStalenessRounds, maxClients } = settings;
  const { client, fingerprint, stalenessRounds = 0 } = event;
  const index = indexOf(state, client);
  if (maxStalenessRounds !== undefined && stalenessRounds > maxStalenessRounds) {
    throw new RefusedError(
      'round.too-stale',
      `The delta of "${client}" is ${stalenessRounds} rounds late; the plan takes up to ${maxStalenessRounds}. Train anew.`,
    );
  }
  if (members.some((member) => member.client !== client && member.update?.fingerprint === fingerprint)) {
    throw new RefusedError(
      'round.fingerprint-taken',
      'Another client has sent this very update. Send an update that this client has sealed.',
    );
  }
  const from = reservesFromMs(settings);
  if (members[index]?.update === undefined && index >= maxClients && event.atMs < from) {
    throw new RefusedError(
      'round.reserve-not-yet',
      `"${client}" is a reserve in this round. Send the update from ${new Date(from).toISOString()} on.`,
    );
  }
  return index;
}

function withSecond(state: RoundState, member: Member, earlier: SentUpdate, event: Received): Member {
  // What came in a partial sum cannot be taken out of it.
  if (state.settings.secondUpdate === 'refuse' || earlier.via !== undefined) {
    throw new RefusedError(
      'round.second-update',
      `The round has an update of "${event.client}", and takes one. Keep the delta for the next round.`,
    );
  }
  const replaced = [...(member.replaced ?? []), beginning(earlier.fingerprint)];
  if (replaced.length > MAX_REPLACEMENTS) {
    throw new RefusedError(
      'round.too-many-replacements',
      `"${event.client}" has replaced its update ${MAX_REPLACEMENTS} times, which is all that a round allows. Keep the delta for the next round.`,
    );
  }
  return { ...member, update: sentUpdate(event), replaced };
}

export function sentUpdate({ fingerprint, atMs, stalenessRounds, statistics }: ReceivedUpdate): SentUpdate {
  return {
    fingerprint,
    receivedAtMs: atMs,
    ...(stalenessRounds !== undefined && stalenessRounds > 0 && { stalenessRounds }),
    ...(statistics !== undefined && { statistics }),
  };
}

function beginning(fingerprint: string): string {
  return fingerprint.slice(0, REPLACED_DIGITS);
}

/** Seals the round off if nobody else is to come. */
export function sealOffIfComplete(state: RoundState, atMs: number): RoundState {
  const { length } = sentUpdates(state);
  const isComplete = length === state.members.length || length === state.settings.maxClients;
  return isComplete ? sealOff(state, atMs) : state;
}

/**
 * Takes note of an upload that did not hold.
 *
 * @throws RefusedError `round.ended`
 */
export function noteRefusedUpload(state: RoundState, event: EventOf<'update-refused'>): RoundState {
  requireRunning(state);
  const { client, fingerprint, code, reason, atMs } = event;
  return withRefusal(
    marked(state, client, 'rejected'),
    withoutUndefined({ client, fingerprint, code, reason: shortReason(reason), atMs }),
  );
}

/** What a refusal of the round itself says about the client; codes that are not here leave no trace. */
const NOTED: Readonly<Record<string, Mark | undefined>> = {
  'round.full': 'turned-away',
  'round.late': 'late',
  'round.too-stale': 'late',
  'round.client-not-eligible': 'turned-away',
  'round.second-update': 'turned-away',
  'round.too-many-replacements': 'turned-away',
  'round.fingerprint-taken': 'rejected',
};

/** Takes note of an update that the round has refused, while it runs. */
export function noteRefusedUpdate(state: RoundState, event: Received, error: RefusedError): RoundState {
  const mark = NOTED[error.code];
  if (mark === undefined || !isBefore(state.phase, 'failed')) return state;
  const { client, fingerprint, atMs } = event;
  return withRefusal(marked(state, client, mark), {
    client,
    fingerprint,
    code: error.code,
    reason: shortReason(error.message),
    atMs,
  });
}

const GRAVITY: readonly Mark[] = ['turned-away', 'late', 'rejected'];

/** The gravest mark stays, so that the order in which they come does not matter. */
function marked(state: RoundState, client: string | undefined, mark: Mark): RoundState {
  const index = state.members.findIndex((member) => member.client === client);
  const member = state.members[index];
  if (member === undefined) return state;
  if (member.mark !== undefined && GRAVITY.indexOf(member.mark) >= GRAVITY.indexOf(mark)) return state;
  return { ...state, members: state.members.with(index, { ...member, mark }) };
}

/** Refusals of whole partial sums that whoever looks at the round must see; no client has done anything wrong. */
const NOTED_OF_PARTIAL_SUMS: readonly string[] = [
  'round.full',
  'round.late',
  'round.too-stale',
  'round.client-not-eligible',
];

/** Takes note of a partial sum that the round has refused, while it runs. */
export function noteRefusedPartialSum(
  state: RoundState,
  { fingerprint, atMs }: EventOf<'partial-sum-received'>,
  { code, message }: RefusedError,
): RoundState {
  if (!NOTED_OF_PARTIAL_SUMS.includes(code) || !isBefore(state.phase, 'failed')) return state;
  return withRefusal(state, { fingerprint, code, reason: shortReason(message), atMs });
}

function withRefusal(state: RoundState, refusal: Refusal): RoundState {
  const { client, fingerprint, code } = refusal;
  const ofClient = state.refusals.filter((listed) => client !== undefined && listed.client === client);
  const isListed = state.refusals.some(
    (listed) => listed.client === client && listed.fingerprint === fingerprint && listed.code === code,
  );
  // An uploader that tries again and again is one refusal, and no reason to write the state again.
  if (isListed) return state;
  if (ofClient.length >= MAX_LISTED_REFUSALS_OF_CLIENT || state.refusals.length >= MAX_LISTED_REFUSALS) {
    return { ...state, unlistedRefusals: state.unlistedRefusals + 1 };
  }
  return { ...state, refusals: [...state.refusals, refusal] };
}

function withoutUndefined(
  refusal: {
    readonly [Key in keyof Refusal]: Refusal[Key] | undefined;
  },
): Refusal {
  const entries = Object.entries(refusal).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as unknown as Refusal;
}
