/** A role's directory: its keys, its copy of the roster, the pin that the roster is held against. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RefusedError } from '../errors.js';
import { openContainer } from '../package/reader.js';
import type { LocalSigningKey } from '../package/signing-key.js';
import { hex, sameBytes } from './fields.js';
import { followRoster } from './keys/follow-roster.js';
import type { Role } from './keys/key-rows.js';
import { KeyStore } from './keys/key-store.js';
import { readTrustedRoster, requireSameFleet, type TrustedRoster } from './roster.js';
import { acceptRoster, ROSTER_FILE } from './roster-archive.js';
import { openRosterPin } from './roster-pin.js';

export { ROSTER_FILE } from './roster-archive.js';
export const LEDGER_FILE = 'ledger.sqlite';

export interface LockedRole {
  readonly id: string;
  readonly store: KeyStore;
  readonly roster: TrustedRoster;
  close(): void;
}

export interface OpenedRole extends LockedRole {
  readonly signing: LocalSigningKey;
}

/**
 * Opens a key store. The caller closes it.
 *
 * @throws RefusedError `key.wrong-role` where the directory is another role's
 */
export async function openKeyStore(directory: string, role?: Role): Promise<KeyStore> {
  const store = await KeyStore.open(directory);
  if (role === undefined || store.role === role) return store;
  store.close();
  throw new RefusedError(
    'key.wrong-role',
    `${directory} holds the keys of a ${store.role}, and a ${role}'s are needed. Name the ${role}'s directory.`,
  );
}

/**
 * Unlocks a role's signing key, reads its roster, moves its pin forward, and brings its keys into the states that the roster
 * gives them. The caller closes it.
 *
 * @throws RefusedError `key.wrong-role`, `key.not-active`; `roster.*`, `wrapper.*`
 * @throws EnvironmentError `storage.missing`, `container.unreadable`; VerificationError `container.*`
 */
export async function openRole(directory: string, role: Role): Promise<OpenedRole> {
  const opened = await openLockedRole(directory, role);
  try {
    return { ...opened, signing: await opened.store.signing() };
  } catch (error) {
    opened.close();
    throw error;
  }
}

/**
 * As {@link openRole}, without its signing key: nothing is unwrapped unless the roster changes something.
 *
 * @throws as {@link openRole} does
 */
export async function openLockedRole(directory: string, role: Role): Promise<LockedRole> {
  const store = await openKeyStore(directory, role);
  try {
    const roster = await followOwnRoster(directory, store);
    store.requireSigning();
    return { id: store.id, store, roster, close: () => store.close() };
  } catch (error) {
    store.close();
    throw error;
  }
}

async function followOwnRoster(directory: string, store: KeyStore): Promise<TrustedRoster> {
  const roster = (await pinnedRoster(directory, store)) ?? (await acceptNewRoster(directory, store));
  await followRoster(store, roster);
  return roster;
}

/** The directory's roster, if it is the one that is pinned: nothing is written then. */
async function pinnedRoster(directory: string, store: KeyStore): Promise<TrustedRoster | undefined> {
  const pin = await openRosterPin(directory);
  try {
    const container = await openContainer(join(directory, ROSTER_FILE), 'roster');
    await container.close();
    const pinned = pin.current();
    if (pinned === undefined || !sameBytes(pinned.fingerprint, container.fingerprint)) return undefined;
    const roster = await readTrustedRoster(join(directory, ROSTER_FILE), pin);
    requireSameFleet(roster, store.fleet, 'key store');
    return roster;
  } finally {
    pin.close();
  }
}

async function acceptNewRoster(directory: string, store: KeyStore): Promise<TrustedRoster> {
  return acceptRoster(directory, await readFile(join(directory, ROSTER_FILE)), {
    fleet: store.fleet,
    accepting: ({ body, fingerprint }) =>
      store.record('roster', { version: body.version, fingerprint: hex(fingerprint) }),
  });
}
