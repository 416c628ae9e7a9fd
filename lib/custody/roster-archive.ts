/**
 * The rosters that a machine has accepted, each kept as `rosters/VERSION.tgo`, and the way a new one is accepted.
 *
 * A round is finished under the roster that it was planned under, which may have had successors by then: custodians and the
 * owner read that one here. Clients do not: a plan can name any version that its coordinator likes, and a client that followed
 * it back would seal to KEM keys that were replaced, perhaps because they were stolen, or under a quorum floor that was raised.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createPrivateDirectory, errorCode } from '../durable/private-files.js';
import { FormatError, RefusedError } from '../errors.js';
import { replaceFile } from '../files.js';
import { keyIdOf } from '../package/keys.js';
import type { RosterBody, RosterClient } from '../package/messages/roster.js';
import { hex, sameBytes } from './fields.js';
import { readSignedRoster, type TrustedRoster } from './roster.js';
import { openRosterPin, type RosterPin } from './roster-pin.js';

export const ROSTER_FILE = 'roster.tgo';
const ARCHIVE_DIRECTORY = 'rosters';

/** Where a version is kept. */
export function archivedRosterPath(directory: string, version: number): string {
  return join(directory, ARCHIVE_DIRECTORY, `${version}.tgo`);
}

async function readArchived(directory: string, version: number): Promise<TrustedRoster | undefined> {
  try {
    return await readSignedRoster(archivedRosterPath(directory, version));
  } catch (error) {
    if (errorCode(error) === 'container.unreadable' && causeIsAbsence(error)) return undefined;
    throw error;
  }
}

function causeIsAbsence(error: unknown): boolean {
  return error instanceof Error && errorCode(error.cause) === 'ENOENT';
}

/**
 * Keeps a roster that the caller has verified; on the disk when this returns. A version is written once: the same roster again
 * is fine.
 *
 * @throws RefusedError `roster.equivocation` where another roster of that version is kept
 * @throws VerificationError, FormatError `container.*` where the one that is kept was damaged
 */
export async function archiveRoster(directory: string, version: number, file: Uint8Array): Promise<void> {
  await createPrivateDirectory(join(directory, ARCHIVE_DIRECTORY));
  try {
    const options = { mode: 0o600, exclusive: true };
    await replaceFile(archivedRosterPath(directory, version), file, options);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    const [kept, offered] = [await readArchived(directory, version), await readSignedRoster(file)];
    if (kept !== undefined && sameBytes(kept.fingerprint, offered.fingerprint)) return;
    throw new RefusedError(
      'roster.equivocation',
      `There are two rosters with version ${version}: ${kept === undefined ? 'one' : hex(kept.fingerprint)} is kept, ` +
        `${hex(offered.fingerprint)} is offered. Do not use either; show both to the owner.`,
    );
  }
}

/**
 * A roster that was accepted before, to finish a round that was planned under it. Never for sealing.
 *
 * It says who belonged to the fleet *then*. Who may still take part is for the newest roster to say: see
 * {@link underCurrentStanding}.
 *
 * @param ownerKeyId of the owner that this machine is pinned to
 * @param fingerprint of the roster that is asked for: one of two with the same version is not the other
 * @returns undefined where this machine keeps no such roster
 * @throws RefusedError `roster.other-owner`; VerificationError, FormatError `container.*` where it was tampered with
 */
export async function supersededRoster(
  directory: string,
  ownerKeyId: Uint8Array,
  version: number,
  fingerprint: Uint8Array,
): Promise<TrustedRoster | undefined> {
  const roster = await readArchived(directory, version);
  if (roster === undefined || !sameBytes(roster.fingerprint, fingerprint)) return undefined;
  if (!sameBytes(roster.ownerKeyId, ownerKeyId)) {
    throw new RefusedError(
      'roster.other-owner',
      `${archivedRosterPath(directory, version)} is signed by owner ${hex(roster.ownerKeyId)}; this machine is pinned to ` +
        `owner ${hex(ownerKeyId)}. Somebody put it there: remove it.`,
    );
  }
  return roster;
}

/**
 * An earlier roster with its members as the newest one sees them: a client that was suspended or revoked meanwhile, and a
 * client, coordinator, aggregator or gateway whose keys were replaced, or that is not listed any more, is refused from that moment in rounds that began before it too.
 * A stolen coordinator's key could otherwise plan under the roster that still lists it, for robots that have not heard yet.
 */
export function underCurrentStanding(earlier: TrustedRoster, newest: TrustedRoster): TrustedRoster {
  const now = new Map(newest.body.clients.map((client) => [client.id, client]));
  const standing = (then: RosterClient): RosterClient['status'] => {
    if (then.status === 'revoked') return 'revoked';
    const listed = now.get(then.id);
    if (listed === undefined || !sameBytes(keyIdOf(listed.keys), keyIdOf(then.keys))) return 'revoked';
    // What was suspended when the round was planned was no part of it.
    return listed.status === 'active' ? then.status : listed.status;
  };
  const clients = earlier.body.clients.map((client) => ({ ...client, status: standing(client) }));
  const aggregators = stillListed(earlier.body.aggregators, newest.body.aggregators);
  const { gateways: gatewaysThen, ...body } = earlier.body;
  const gateways = stillListed(gatewaysThen ?? [], newest.body.gateways ?? []);
  const { coordinator } = newest.body;
  return {
    ...earlier,
    body: { ...body, clients, coordinator, aggregators, ...(gateways.length > 0 && { gateways }) },
  };
}

type Keyed = RosterBody['aggregators'][number];

function stillListed(then: readonly Keyed[], now: readonly Keyed[]): Keyed[] {
  const nameOf = ({ id, keys }: Keyed): string => `${id} ${hex(keyIdOf(keys))}`;
  const listed = new Set(now.map(nameOf));
  return then.filter((member) => listed.has(nameOf(member)));
}

export interface AcceptOptions {
  /** The fleet that the machine belongs to, where it knows it. */
  readonly fleet?: string | undefined;
  /** Called before anything changes for a roster that is not accepted yet: where an audit trail records it. */
  readonly accepting?: (roster: TrustedRoster) => Promise<void>;
}

/**
 * Accepts a roster: verifies it against the pin, keeps it, makes it the directory's `roster.tgo`, and moves the pin. The same
 * roster again changes nothing. Interrupted between any two steps, the directory has the earlier roster or this one, and
 * either opens.
 *
 * @throws VerificationError `container.*`
 * @throws RefusedError `roster.older`, `roster.equivocation`, `roster.other-owner`; FormatError `roster.other-fleet`
 */
export async function acceptRoster(
  directory: string,
  file: Uint8Array,
  options: AcceptOptions = {},
): Promise<TrustedRoster> {
  const roster = await readSignedRoster(file);
  requireFleet(roster.body, options.fleet);
  const { ownerKeyId, fingerprint } = roster;
  const { version } = roster.body;
  const pin = await openRosterPin(directory);
  try {
    pin.check(ownerKeyId, version, fingerprint);
    if (pin.current()?.version !== version) await options.accepting?.(roster);
    await archiveRoster(directory, version, file);
    // Before the pin: a pin ahead of the roster would refuse it, and stop the machine until somebody brings the new one again.
    await replaceFile(join(directory, ROSTER_FILE), file, { mode: 0o600 });
    await movePin(directory, pin, roster);
  } finally {
    pin.close();
  }
  return roster;
}

/** Another process may have accepted a newer one meanwhile; then that one's file has to come back. */
async function movePin(directory: string, pin: RosterPin, roster: TrustedRoster): Promise<void> {
  try {
    pin.pin(roster.ownerKeyId, roster.body.version, roster.fingerprint);
  } catch (error) {
    const newest = pin.current();
    if (newest !== undefined) {
      const kept = await readFile(archivedRosterPath(directory, newest.version));
      await replaceFile(join(directory, ROSTER_FILE), kept, { mode: 0o600 });
    }
    throw error;
  }
}

function requireFleet(roster: RosterBody, fleet: string | undefined): void {
  if (fleet === undefined || roster.fleet === fleet) return;
  throw new FormatError(
    'roster.other-fleet',
    `The roster is of fleet "${roster.fleet}"; this machine was set up for fleet "${fleet}". Fetch that fleet's roster.`,
  );
}
