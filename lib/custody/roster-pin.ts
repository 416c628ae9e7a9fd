/**
 * The newest roster that this machine has accepted, so that it never goes back to an older one: a revoked
 * client or a lowered quorum floor would return with it. Clients and custodians each keep one.
 *
 * The pin also fixes the owner, whose rosters alone count: it is told the owner's key id when the machine is set up
 * (`pinOwner`), or the first roster pinned decides.
 */
import { join } from 'node:path';
import { z } from 'zod';
import type { DatabaseDescription } from '../durable/database-schema.js';
import { blobColumn, DurableDatabase } from '../durable/durable-database.js';
import { errorCode } from '../durable/private-files.js';
import { RefusedError, VerificationError } from '../errors.js';
import { hex, requireBytes32, requireInteger, sameBytes } from './fields.js';

export interface PinnedRoster {
  /** Hash of the owner's signing keys, 32 bytes. */
  readonly ownerKeyId: Uint8Array;
  /** The roster's version, which only grows. */
  readonly version: number;
  /** Fingerprint of the roster, 32 bytes. */
  readonly fingerprint: Uint8Array;
}

const description: DatabaseDescription = {
  name: 'roster pin',
  applicationId: 0x7467_7031,
  schema: [
    `CREATE TABLE pin (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    owner_key_id BLOB NOT NULL,
    version INTEGER,
    fingerprint BLOB,
    CHECK ((version IS NULL) = (fingerprint IS NULL))
  ) STRICT`,
  ],
  corrupt: (detail) =>
    new VerificationError(
      'roster.pin-corrupt',
      `The roster pin cannot be trusted: ${detail}. Get the owner's key id and the current roster from the ` +
        'owner by a channel that you trust, then remove the pin and pin that roster.',
    ),
  adviceIfMissing: 'Open it again.',
};

/** Without a roster where only the owner is known yet. */
const pinRow = z.object({
  owner_key_id: blobColumn,
  version: z.int().nullable(),
  fingerprint: blobColumn.nullable(),
});

/**
 * Opens the pin in `directory` (`roster-pin.sqlite`), or creates an empty one, which accepts the first roster
 * that it is shown: pin the owner, or a roster, when the machine is set up.
 *
 * @throws VerificationError `roster.pin-corrupt`
 * @throws EnvironmentError `storage.permissions`, `storage.symlink`, `storage.busy`, `storage.failed`
 */
export async function openRosterPin(directory: string): Promise<RosterPin> {
  const path = join(directory, 'roster-pin.sqlite');
  const open = () => DurableDatabase.open(path, description);
  const database = await open().catch(async (error: unknown) => {
    if (errorCode(error) !== 'storage.missing') {
      throw error;
    }
    return DurableDatabase.create(path, description).catch((failure: unknown) => {
      if (errorCode(failure) !== 'storage.exists') {
        throw failure;
      }
      return open();
    });
  });
  return new RosterPin(database);
}

/**
 * Tells a machine whose rosters count, before it has seen one; on the disk when this returns.
 *
 * @param ownerKeyId 32 bytes, from the owner by a channel that you trust
 * @throws RefusedError `roster.other-owner` where it is pinned to another one; what `openRosterPin` throws
 */
export async function pinOwner(directory: string, ownerKeyId: Uint8Array): Promise<void> {
  const pin = await openRosterPin(directory);
  try {
    pin.pinOwner(ownerKeyId);
  } finally {
    pin.close();
  }
}

/** The owner whose rosters count on this machine, if that is decided. */
export async function pinnedOwner(directory: string): Promise<Uint8Array | undefined> {
  const pin = await openRosterPin(directory);
  try {
    return pin.owner();
  } finally {
    pin.close();
  }
}

export class RosterPin {
  /** Use `openRosterPin`. */
  constructor(private readonly database: DurableDatabase) {}

  /** The pinned roster, if there is one. */
  current(): PinnedRoster | undefined {
    const row = this.#row();
    if (row === undefined || row.version === null || row.fingerprint === null) return undefined;
    return { ownerKeyId: row.owner_key_id, version: row.version, fingerprint: row.fingerprint };
  }

  /** Key id of the owner whose rosters count, 32 bytes; undefined where the first roster will decide. */
  owner(): Uint8Array | undefined {
    return this.#row()?.owner_key_id;
  }

  /** @throws RefusedError `roster.other-owner`; ParameterError `field.bad-bytes` */
  pinOwner(ownerKeyId: Uint8Array): void {
    requireBytes32('owner key id', ownerKeyId);
    this.database.transaction(() => {
      const pinned = this.owner();
      if (pinned !== undefined) {
        requireOwner(pinned, ownerKeyId);
        return;
      }
      this.database.run('INSERT INTO pin (only_row, owner_key_id) VALUES (1, ?)', [ownerKeyId]);
    });
  }

  /**
   * Refuses what `pin` would refuse, and changes nothing: for what must happen between the check and the pin.
   *
   * @throws as `pin` does
   */
  check(ownerKeyId: Uint8Array, rosterVersion: number, rosterFingerprint: Uint8Array): void {
    requireBytes32('owner key id', ownerKeyId);
    requireInteger('roster version', rosterVersion, 0);
    requireBytes32('roster fingerprint', rosterFingerprint);
    const owner = this.owner();
    if (owner !== undefined) requireOwner(owner, ownerKeyId);
    const pinned = this.current();
    if (pinned !== undefined) {
      requireSuccessor(pinned, { ownerKeyId, version: rosterVersion, fingerprint: rosterFingerprint });
    }
  }

  /**
   * Accepts a roster whose signature the caller has verified, and remembers it if it is newer; on the disk
   * when this returns.
   *
   * @throws RefusedError `roster.older`, `roster.equivocation` (another roster with the pinned version),
   *   `roster.other-owner`
   * @throws ParameterError `field.*`
   */
  pin(ownerKeyId: Uint8Array, rosterVersion: number, rosterFingerprint: Uint8Array): void {
    this.database.transaction(() => {
      this.check(ownerKeyId, rosterVersion, rosterFingerprint);
      if (this.current()?.version === rosterVersion) return;
      this.database.run(
        'INSERT OR REPLACE INTO pin (only_row, owner_key_id, version, fingerprint) VALUES (1, ?, ?, ?)',
        [ownerKeyId, rosterVersion, rosterFingerprint],
      );
    });
  }

  close(): void {
    this.database.close();
  }

  #row(): z.infer<typeof pinRow> | undefined {
    return this.database.get(pinRow, 'SELECT owner_key_id, version, fingerprint FROM pin');
  }
}

function requireOwner(pinned: Uint8Array, offered: Uint8Array): void {
  if (sameBytes(pinned, offered)) return;
  throw new RefusedError(
    'roster.other-owner',
    `The owner is ${hex(offered)}; this machine is pinned to owner ${hex(pinned)}. If the fleet has a new owner, ` +
      'enrol again in a new directory.',
  );
}

function requireSuccessor(pinned: PinnedRoster, offered: PinnedRoster): void {
  if (offered.version < pinned.version) {
    throw new RefusedError(
      'roster.older',
      `The roster has version ${offered.version}; version ${pinned.version} was accepted before, and rosters ` +
        'only grow. Fetch the current roster.',
    );
  }
  if (offered.version === pinned.version && !sameBytes(offered.fingerprint, pinned.fingerprint)) {
    throw new RefusedError(
      'roster.equivocation',
      `There are two rosters with version ${offered.version}: ${hex(pinned.fingerprint)} was accepted, ` +
        `${hex(offered.fingerprint)} is offered. Do not use either; show both to the owner.`,
    );
  }
}
