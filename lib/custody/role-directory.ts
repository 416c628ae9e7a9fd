/** A role's directory: its keys, its copy of the roster, the pin that the roster is held against. */
import { join } from 'node:path';
import { RefusedError } from '../errors.js';
import { importSecret, type LocalSigningKey } from '../package/signing-key.js';
import { type Role, type RoleKeys, readKeyFile } from './key-files.js';
import { readTrustedRoster, type TrustedRoster } from './roster.js';
import { openRosterPin } from './roster-pin.js';

export const KEY_FILE = 'keys.json';
export const ROSTER_FILE = 'roster.tgo';
export const LEDGER_FILE = 'ledger.sqlite';

/** The signing key of a key file's seeds. */
export function signingKeyOf(keys: Pick<RoleKeys, 'signing'>): LocalSigningKey {
  return keys.signing.ed25519.use((ed25519) => {
    const mlDsa65 = keys.signing['ml-dsa-65'];
    return mlDsa65 === undefined
      ? importSecret({ ed25519 })
      : mlDsa65.use((seed) => importSecret({ ed25519, 'ml-dsa-65': seed }));
  });
}

export interface OpenedRole {
  readonly keys: RoleKeys;
  readonly signing: LocalSigningKey;
  readonly roster: TrustedRoster;
}

/**
 * Reads a role's keys and its roster, and moves its pin forward.
 *
 * @throws RefusedError `key.wrong-role` where the directory is another role's; `roster.*`
 * @throws EnvironmentError `key.missing`, `container.unreadable`; VerificationError `container.*`
 */
export async function openRole(directory: string, role: Role): Promise<OpenedRole> {
  const keys = await readKeyFile(join(directory, KEY_FILE));
  if (keys.role !== role) {
    throw new RefusedError(
      'key.wrong-role',
      `${directory} holds the keys of a ${keys.role}, and a ${role}'s are needed. Name the ${role}'s directory.`,
    );
  }
  const pin = await openRosterPin(directory);
  try {
    const roster = await readTrustedRoster(join(directory, ROSTER_FILE), pin);
    return { keys, signing: signingKeyOf(keys), roster };
  } finally {
    pin.close();
  }
}
