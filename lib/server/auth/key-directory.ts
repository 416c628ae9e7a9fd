/** Which machine a key belongs to, as the roster says. */
import { RefusedError } from '../../errors.js';
import { keyIdOf, type PublicKeys } from '../../package/keys.js';
import { hex } from '../../package/messages/common.js';
import type { ClientStatus, RosterBody } from '../../package/messages/roster.js';
import type { MachineRole } from './actor.js';

export interface ListedKey {
  readonly role: MachineRole;
  readonly id: string;
  readonly publicKeys: PublicKeys;
  /** Other than `active` for clients only. */
  readonly standing: ClientStatus;
}

export interface KeyDirectory {
  /** @param keyId 64 lower-case hexadecimal digits */
  find(keyId: string): ListedKey | undefined;
}

/** The keys of one roster, and of its successor once there is one. Without a roster it lists nobody. */
export class RosterKeyDirectory implements KeyDirectory {
  #keys: ReadonlyMap<string, ListedKey> = new Map();

  constructor(roster?: RosterBody) {
    if (roster !== undefined) this.replace(roster);
  }

  /** @param roster verified and accepted by the caller */
  replace(roster: RosterBody): void {
    this.#keys = new Map(keysOf(roster).map((key) => [hex(keyIdOf(key.publicKeys)), key]));
  }

  find(keyId: string): ListedKey | undefined {
    return this.#keys.get(keyId);
  }
}

function keysOf(roster: RosterBody): ListedKey[] {
  return [
    { role: 'owner', id: 'owner', publicKeys: roster.owner.keys, standing: 'active' },
    // Plans come from the coordinator; it acts for the owner.
    { role: 'owner', id: 'coordinator', publicKeys: roster.coordinator.keys, standing: 'active' },
    ...roster.custodians.map(
      ({ id, keys }): ListedKey => ({ role: 'custodian', id, publicKeys: keys, standing: 'active' }),
    ),
    ...(roster.gateways ?? []).map(
      ({ id, keys }): ListedKey => ({ role: 'gateway', id, publicKeys: keys, standing: 'active' }),
    ),
    ...roster.clients.map(
      ({ id, keys, status }): ListedKey => ({ role: 'client', id, publicKeys: keys, standing: status }),
    ),
  ];
}

/** @throws RefusedError `roster.client-suspended`, `roster.client-revoked` */
export function requireActive(key: ListedKey): void {
  if (key.standing === 'active') return;
  throw new RefusedError(
    `roster.client-${key.standing}`,
    `Client "${key.id}" is ${key.standing}; its requests are refused. Ask the fleet's owner.`,
  );
}
