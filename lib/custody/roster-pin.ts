/**
 * The newest roster that this machine has accepted, so that it never goes back to an older one: a revoked
 * client or a lowered quorum floor would return with it. Clients and custodians each keep one.
 *
 * The pin also fixes the owner: the first roster pinned decides whose rosters count from then on.
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
    version INTEGER NOT NULL,
    fingerprint BLOB NOT NULL
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

const pinRow = z.object({ owner_key_id: blobColumn, version: z.int(), fingerprint: blobColumn });

/**
 * Opens the pin in `directory` (`roster-pin.sqlite`), or creates an empty one, which accepts the first roster
 * that it is shown: pin one when the machine is enrolled.
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

export class RosterPin {
  /** Use `openRosterPin`. */
  constructor(private readonly database: DurableDatabase) {}

  /** The pinned roster, if there is one. */
  current(): PinnedRoster | undefined {
    const row = this.database.get(pinRow, 'SELECT owner_key_id, version, fingerprint FROM pin');
    return row && { ownerKeyId: row.owner_key_id, version: row.version, fingerprint: row.fingerprint };
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
    requireBytes32('owner key id', ownerKeyId);
    requireInteger('roster version', rosterVersion, 0);
    requireBytes32('roster fingerprint', rosterFingerprint);
    this.database.transaction(() => {
      const pinned = this.current();
      if (pinned !== undefined) {
        requireSuccessor(pinned, { ownerKeyId, version: rosterVersion, fingerprint: rosterFingerprint });
        if (pinned.version === rosterVersion) {
          return;
        }
      }
      this.database.run(
        'INSERT OR REPLACE INTO pin (only_row, owner_key_id, version, fingerprint) VALUES (1, ?, ?, ?)',
        [ownerKeyId, rosterVersion, rosterFingerprint],
      );
    });
  }

  close(): void {
    this.database.close();
  }
}

function requireSuccessor(pinned: PinnedRoster, offered: PinnedRoster): void {
  if (!sameBytes(pinned.ownerKeyId, offered.ownerKeyId)) {
    throw new RefusedError(
      'roster.other-owner',
      `The roster is signed by owner ${hex(offered.ownerKeyId)}; this machine is pinned to owner ` +
        `${hex(pinned.ownerKeyId)}. If the fleet has a new owner, enrol again in a new directory.`,
    );
  }
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
