/** The roster as something to rely on: signed by the owner that this machine is pinned to, and never older. */
import { FormatError, RefusedError } from '../errors.js';
import { keyIdOf, type PublicKeys } from '../package/keys.js';
import type { RosterBody } from '../package/messages/roster.js';
import { openContainer } from '../package/reader.js';
import type { RosterPin } from './roster-pin.js';

type Client = RosterBody['clients'][number];
type Custodian = RosterBody['custodians'][number];
type Aggregator = RosterBody['aggregators'][number];
type Gateway = NonNullable<RosterBody['gateways']>[number];

export interface TrustedRoster {
  readonly body: RosterBody;
  readonly fingerprint: Uint8Array;
  readonly ownerKeyId: Uint8Array;
}

/**
 * A roster whose owner's signature holds; whether it is the right owner is for the caller to ask.
 *
 * @throws VerificationError, FormatError `container.*`
 */
export async function readSignedRoster(from: string | Uint8Array): Promise<TrustedRoster> {
  const container = await openContainer(from, 'roster');
  try {
    const { body, fingerprint } = container;
    await container.verify(body.owner.keys, body.signatureAlgorithms);
    return { body, fingerprint, ownerKeyId: keyIdOf(body.owner.keys) };
  } finally {
    await container.close();
  }
}

/**
 * Reads a roster, verifies the owner's signature over it, and holds it against the pin, which it moves forward.
 *
 * A roster names its own owner; that this is the right one is what the pin says. The first roster that a pin sees is
 * the one that enrolment put there.
 *
 * @throws VerificationError `container.*`
 * @throws RefusedError `roster.older`, `roster.equivocation`, `roster.other-owner`
 */
export async function readTrustedRoster(from: string | Uint8Array, pin: RosterPin): Promise<TrustedRoster> {
  const roster = await readSignedRoster(from);
  pin.pin(roster.ownerKeyId, roster.body.version, roster.fingerprint);
  return roster;
}

/** @throws RefusedError `roster.unknown-client`, `roster.client-suspended`, `roster.client-revoked` */
export function requireClient(roster: TrustedRoster, id: string): Client {
  const client = roster.body.clients.find((entry) => entry.id === id);
  if (client === undefined) {
    throw new RefusedError(
      'roster.unknown-client',
      `Client "${id}" is not enrolled in fleet "${roster.body.fleet}" (roster version ${roster.body.version}). ` +
        'Enrol it, and plan the round under the new roster.',
    );
  }
  if (client.status !== 'active') {
    throw new RefusedError(
      `roster.client-${client.status}`,
      `Client "${id}" is ${client.status} in roster version ${roster.body.version}; its updates are refused.`,
    );
  }
  return client;
}

/** @throws RefusedError `roster.unknown-custodian` */
export function requireCustodian(roster: TrustedRoster, id: string): Custodian {
  const custodian = roster.body.custodians.find((entry) => entry.id === id);
  if (custodian === undefined) {
    throw new RefusedError(
      'roster.unknown-custodian',
      `Custodian "${id}" is not in roster version ${roster.body.version} of fleet "${roster.body.fleet}".`,
    );
  }
  return custodian;
}

/** @throws RefusedError `roster.unknown-aggregator` */
export function requireAggregator(roster: TrustedRoster, id: string): Aggregator {
  const aggregator = roster.body.aggregators.find((entry) => entry.id === id);
  if (aggregator === undefined) {
    throw new RefusedError(
      'roster.unknown-aggregator',
      `Aggregator "${id}" is not in roster version ${roster.body.version} of fleet "${roster.body.fleet}".`,
    );
  }
  return aggregator;
}

/** @throws RefusedError `roster.unknown-gateway` */
export function requireGateway(roster: TrustedRoster, id: string): Gateway {
  const gateway = roster.body.gateways?.find((entry) => entry.id === id);
  if (gateway === undefined) {
    throw new RefusedError(
      'roster.unknown-gateway',
      `Gateway "${id}" is not in roster version ${roster.body.version} of fleet "${roster.body.fleet}".`,
    );
  }
  return gateway;
}

/** The custodians in order of their indices 1..n. */
export function custodiansByIndex(roster: TrustedRoster): readonly Custodian[] {
  return [...roster.body.custodians].sort((a, b) => a.index - b.index);
}

/** @throws RefusedError `roster.not-this-key` where a role's own key is not the one that the roster lists for it */
export function requireOwnKey(listed: PublicKeys, own: PublicKeys, who: string): void {
  if (Buffer.compare(keyIdOf(listed), keyIdOf(own)) !== 0) {
    throw new RefusedError(
      'roster.not-this-key',
      `The roster lists another key for ${who} than the one in its directory. Enrol the key that it holds now.`,
    );
  }
}

/** A plain mistake that would otherwise surface as a bad signature. @throws FormatError `roster.other-fleet` */
export function requireSameFleet(roster: TrustedRoster, fleet: string, what: string): void {
  if (roster.body.fleet !== fleet) {
    throw new FormatError(
      'roster.other-fleet',
      `The ${what} belongs to fleet "${fleet}"; this machine belongs to fleet "${roster.body.fleet}".`,
    );
  }
}
