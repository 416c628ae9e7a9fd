/** A machine takes the roster that its owner issued. */
import { hex } from '../../custody/fields.js';
import { followRoster } from '../../custody/keys/follow-roster.js';
import { KeyStore } from '../../custody/keys/key-store.js';
import type { TrustedRoster } from '../../custody/roster.js';
import { acceptRoster } from '../../custody/roster-archive.js';
import { pinnedOwner, pinOwner } from '../../custody/roster-pin.js';
import type { PublicKeys } from '../../package/keys.js';
import type { ClientStatus, RosterBody } from '../../package/messages/roster.js';
import { sameKeys } from './membership.js';

export interface JoinOptions {
  /** A role's. */
  readonly directory: string;
  /** The roster (`.tgo`). */
  readonly file: Uint8Array;
  /** From the owner by a channel that you trust. */
  readonly ownerKeyId?: Uint8Array | undefined;
}

/** What the roster says of this machine. */
export type Standing = ClientStatus | 'listed' | 'not-listed' | 'other-keys';

export interface JoinedFleet {
  readonly roster: TrustedRoster;
  readonly standing: Standing;
  /** Nobody had told this machine whose rosters count: this one has decided it. */
  readonly ownerTrustedOnFirstUse: boolean;
}

/**
 * Accepts a roster, on the audit trail first, and brings the keys into the states that it gives them.
 *
 * @throws RefusedError `roster.older`, `roster.equivocation`, `roster.other-owner`; FormatError `roster.other-fleet`;
 *   VerificationError `container.*`; what `KeyStore.open` throws
 */
export async function joinFleet({ directory, file, ownerKeyId }: JoinOptions): Promise<JoinedFleet> {
  const store = await KeyStore.open(directory);
  try {
    if (ownerKeyId !== undefined) await pinOwner(directory, ownerKeyId);
    const ownerTrustedOnFirstUse = (await pinnedOwner(directory)) === undefined;
    const roster = await acceptRoster(directory, file, {
      fleet: store.fleet,
      accepting: ({ body: { version }, fingerprint }) =>
        store.record('roster', { version, fingerprint: hex(fingerprint) }),
    });
    await followRoster(store, roster);
    return { roster, standing: standingOf(store, roster.body), ownerTrustedOnFirstUse };
  } finally {
    store.close();
  }
}

export interface Listed {
  readonly keys: PublicKeys;
  readonly status?: ClientStatus;
}

/** What a roster says of a member, if it lists it. */
export function listedIn(roster: RosterBody, role: KeyStore['role'], id: string): Listed | undefined {
  if (role === 'owner' || role === 'coordinator') return roster[role];
  return roster[`${role}s`]?.find((member: { readonly id: string }) => member.id === id);
}

function standingOf(store: KeyStore, roster: RosterBody): Standing {
  const listed = listedIn(roster, store.role, store.id);
  if (listed === undefined) return 'not-listed';
  if (!sameKeys(listed.keys, store.publicKeys)) return 'other-keys';
  return listed.status ?? 'listed';
}
