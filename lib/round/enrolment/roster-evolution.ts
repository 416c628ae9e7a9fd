/** The next roster from the current one: a pure function, so that every rule of membership is in one place. */
import { RefusedError } from '../../errors.js';
import type { PublicKeys } from '../../package/keys.js';
import type { EnrolmentBody } from '../../package/messages/enrolment.js';
import {
  type ClientStatus,
  type RosterBody,
  type RosterClient,
  rosterSchema,
} from '../../package/messages/roster.js';
import { evolveCustodians } from './custodian-evolution.js';
import {
  describeMember,
  type EnrolmentChange,
  type KeyHolder,
  keyHolder,
  requireAlgorithms,
  requireDistinct,
  requireOwnKeys,
  requireReplace,
  sameKeys,
} from './membership.js';

export interface RosterChanges {
  readonly enrol?: readonly EnrolmentChange[] | undefined;
  /** Of clients. Revoked is the end. */
  readonly status?: readonly { readonly id: string; readonly to: ClientStatus }[] | undefined;
  /** Ids of gateways that no longer are. */
  readonly withdrawGateways?: readonly string[] | undefined;
  /** Custodians destroy their keys of earlier epochs. */
  readonly oldestOpenEpoch?: number | undefined;
  readonly threshold?: number | undefined;
  /** The owner's next KEM key: answers for rounds that are planned under this roster are sealed to it. */
  readonly ownerKem?: Uint8Array | undefined;
}

/**
 * The roster that follows `current`, its version one higher; nothing else is different where nothing is asked for that is not
 * so already.
 *
 * @throws RefusedError `enrolment.already-enrolled`, `.revoked`, `.wrong-epoch`, `.custodians-missing`, `.duplicate-key`,
 *   `.algorithm-missing`, `.listed-twice`; `roster.unknown-client`, `.unknown-gateway`, `.status-final`, `.epoch-back`, `.invalid-change`
 */
export function evolveRoster(current: RosterBody, changes: RosterChanges): RosterBody {
  const enrol = changes.enrol ?? [];
  const enrolments = enrol.map(({ enrolment }) => enrolment);
  requireDistinct(enrolments);
  requireAlgorithms(current.signatureAlgorithms, enrolments);
  // Now or in the roster before. That no KEM key comes back in a later epoch is `evolveCustodians`' to see.
  requireOwnKeys([
    ...keysOf(current),
    ...enrolments.map(keyHolder),
    { who: 'the owner', keys: current.owner.keys, kem: changes.ownerKem },
  ]);
  const oldestOpenEpoch = laterEpoch(current.oldestOpenEpoch, changes.oldestOpenEpoch);
  const { gateways: _, ...rest } = current;
  const next: RosterBody = {
    ...rest,
    ...evolveGateways(current, enrol, changes.withdrawGateways ?? []),
    version: current.version + 1,
    owner: { ...current.owner, ...(changes.ownerKem !== undefined && { kem: changes.ownerKem }) },
    coordinator: evolveCoordinator(current, enrol),
    aggregators: evolveAggregators(current, enrol),
    clients: changeStatus(evolveClients(current, enrol), changes.status ?? []),
    custodians: evolveCustodians(current, enrol),
    ...(changes.threshold !== undefined && { threshold: changes.threshold }),
    ...(oldestOpenEpoch !== undefined && { oldestOpenEpoch }),
  };
  const parsed = rosterSchema.safeParse(next);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`.trim());
  throw new RefusedError('roster.invalid-change', `There is no such roster: ${issues.join('; ')}.`);
}

/** Every signing key and KEM key of a roster, with whose it is. */
function keysOf(roster: RosterBody): KeyHolder[] {
  return [
    { who: 'the owner', keys: roster.owner.keys, kem: roster.owner.kem },
    { who: 'the coordinator', keys: roster.coordinator.keys },
    ...roster.aggregators.map(({ id, keys }) => ({ who: describeMember({ role: 'aggregator', id }), keys })),
    ...(roster.gateways ?? []).map(({ id, keys }) => ({
      who: describeMember({ role: 'gateway', id }),
      keys,
    })),
    ...roster.clients.map(({ id, keys }) => ({ who: describeMember({ role: 'client', id }), keys })),
    ...roster.custodians.map(({ id, keys, kem }) => ({
      who: describeMember({ role: 'custodian', id }),
      keys,
      kem,
    })),
  ];
}

/** Puts enrolments of one role into its list: in place of a member with that id, or at the end. */
function enrolInto<M extends { readonly id: string; readonly keys: PublicKeys }>(
  members: readonly M[],
  enrol: readonly EnrolmentChange[],
  make: (change: EnrolmentChange, listed: M | undefined) => M,
): M[] {
  const next = [...members];
  for (const change of enrol) {
    const { id, keys } = change.enrolment;
    const at = next.findIndex((member) => member.id === id);
    const listed = next[at];
    if (listed !== undefined && !sameKeys(listed.keys, keys)) requireReplace(change);
    next.splice(at === -1 ? next.length : at, 1, make(change, listed));
  }
  return next;
}

function ofRole(enrol: readonly EnrolmentChange[], role: EnrolmentBody['role']): EnrolmentChange[] {
  return enrol.filter(({ enrolment }) => enrolment.role === role);
}

function evolveCoordinator(
  current: RosterBody,
  enrol: readonly EnrolmentChange[],
): RosterBody['coordinator'] {
  const [change] = ofRole(enrol, 'coordinator');
  if (change === undefined || sameKeys(change.enrolment.keys, current.coordinator.keys)) {
    return current.coordinator;
  }
  requireReplace(change);
  return { keys: change.enrolment.keys };
}

function evolveAggregators({ aggregators }: RosterBody, enrol: readonly EnrolmentChange[]) {
  return enrolInto(aggregators, ofRole(enrol, 'aggregator'), ({ enrolment: { id, keys } }) => ({ id, keys }));
}

function evolveGateways(
  { gateways = [] }: RosterBody,
  enrol: readonly EnrolmentChange[],
  withdraw: readonly string[],
) {
  const unknown = withdraw.find((id) => !gateways.some((gateway) => gateway.id === id));
  if (unknown !== undefined) {
    throw new RefusedError(
      'roster.unknown-gateway',
      `There is no gateway "${unknown}" in the roster. Check the id.`,
    );
  }
  const kept = gateways.filter(({ id }) => !withdraw.includes(id));
  const next = enrolInto(kept, ofRole(enrol, 'gateway'), ({ enrolment: { id, keys } }) => ({ id, keys }));
  return next.length === 0 ? {} : { gateways: next };
}

/** A client with new keys keeps its status: a suspension is lifted by the owner, not by a new disk. */
function evolveClients({ clients }: RosterBody, enrol: readonly EnrolmentChange[]): RosterClient[] {
  for (const { enrolment } of ofRole(enrol, 'client')) {
    if (clients.find(({ id }) => id === enrolment.id)?.status !== 'revoked') continue;
    throw new RefusedError(
      'enrolment.revoked',
      `Client "${enrolment.id}" was revoked, and its id stays with the keys that signed its past updates. Enrol the machine ` +
        'under another id, with new keys.',
    );
  }
  return enrolInto(clients, ofRole(enrol, 'client'), ({ enrolment: { id, keys } }, listed) => ({
    id,
    keys,
    status: listed?.status ?? 'active',
  }));
}

function changeStatus(
  clients: readonly RosterClient[],
  changes: NonNullable<RosterChanges['status']>,
): RosterClient[] {
  const next = [...clients];
  for (const { id, to } of changes) {
    const at = next.findIndex((client) => client.id === id);
    const client = next[at];
    if (client === undefined) {
      throw new RefusedError(
        'roster.unknown-client',
        `There is no client "${id}" in the roster. Check the id.`,
      );
    }
    if (client.status === 'revoked' && to !== 'revoked') {
      throw new RefusedError(
        'roster.status-final',
        `Client "${id}" was revoked, which is final. Enrol the machine under another id, with new keys.`,
      );
    }
    next[at] = { ...client, status: to };
  }
  return next;
}

function laterEpoch(current: number | undefined, asked: number | undefined): number | undefined {
  if (asked === undefined) return current;
  if (current !== undefined && asked < current) {
    throw new RefusedError(
      'roster.epoch-back',
      `Epochs before ${current} are over, and custodians have destroyed their keys; the oldest open epoch cannot become ${asked}.`,
    );
  }
  return asked;
}
