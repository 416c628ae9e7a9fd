/**
 * The client's record of the releases that it has taken, so that it never goes back to an older one, or to an adapter that
 * the owner withdrew, whatever it is served.
 *
 * A release is recorded when its adapter is in place: a crash in between leaves the record as it was, under which the
 * same release opens again.
 */
import { join } from 'node:path';
import { z } from 'zod';
import type { DatabaseDescription } from '../../durable/database-schema.js';
import { blobColumn, DurableDatabase } from '../../durable/durable-database.js';
import { createPrivateDirectory } from '../../durable/private-files.js';
import { VerificationError } from '../../errors.js';
import { encodeFields, requireBytes32, requireInteger } from '../fields.js';
import {
  judgeRelease,
  type KnownRelease,
  type OfferedRelease,
  type ReleaseHistory,
} from './release-rules.js';

const STATE_FILE = 'releases.sqlite';
const LOCK_DIRECTORY = 'releases';

const description: DatabaseDescription = {
  name: 'record of releases',
  applicationId: 0x7467_7231,
  schema: [
    `CREATE TABLE taken (
      fleet TEXT NOT NULL,
      policy TEXT NOT NULL,
      counter INTEGER NOT NULL,
      release BLOB NOT NULL UNIQUE,
      adapter BLOB NOT NULL,
      rollback_to INTEGER,
      taken_ms INTEGER NOT NULL,
      PRIMARY KEY (fleet, policy, counter)
    ) STRICT`,
    `CREATE TABLE withdrawn (
      fleet TEXT NOT NULL,
      policy TEXT NOT NULL,
      adapter BLOB NOT NULL,
      by_counter INTEGER NOT NULL,
      PRIMARY KEY (fleet, policy, adapter)
    ) STRICT`,
  ],
  corrupt: (detail) =>
    new VerificationError(
      'release.state-corrupt',
      `The client's record of releases cannot be trusted: ${detail}. Take no release by it: enrol this client again, in a ` +
        'new directory.',
    ),
  adviceIfMissing:
    'An empty one would take any older release for a new one. Restore it, or enrol this client again, in a new directory.',
};

const takenRow = z.object({
  counter: z.int(),
  release: blobColumn,
  adapter: blobColumn,
  rollback_to: z.int().nullable(),
  taken_ms: z.int(),
});
const policyRow = z.object({ policy: z.string() });

/** A release that this client has taken. */
export interface TakenRelease extends KnownRelease {
  /** Where it was a rollback: the counter of the release whose adapter came back. */
  readonly rollbackTo?: number;
  /** By this machine's clock, milliseconds since 1970. */
  readonly takenMs: number;
}

/**
 * Creates the record of a new client in `directory`: `releases.sqlite`, and `releases/` for the lock.
 *
 * @throws RefusedError `storage.exists` if there is one; what `openReleaseState` throws
 */
export async function createReleaseState(directory: string): Promise<ReleaseState> {
  return withLock(directory, await DurableDatabase.create(join(directory, STATE_FILE), description));
}

/**
 * Opens the record in `directory`. A missing one is an error, not an empty one.
 *
 * @throws VerificationError `release.state-corrupt`
 * @throws EnvironmentError `storage.missing`, `storage.permissions`, `storage.symlink`, `storage.busy`,
 *   `storage.failed`
 */
export async function openReleaseState(directory: string): Promise<ReleaseState> {
  return withLock(directory, await DurableDatabase.open(join(directory, STATE_FILE), description));
}

async function withLock(directory: string, database: DurableDatabase): Promise<ReleaseState> {
  const lockDirectory = join(directory, LOCK_DIRECTORY);
  try {
    await createPrivateDirectory(lockDirectory);
  } catch (error) {
    database.close();
    throw error;
  }
  return new ReleaseState(database, lockDirectory);
}

export class ReleaseState {
  /** Use `createReleaseState` or `openReleaseState`. */
  constructor(
    private readonly database: DurableDatabase,
    /** Where the lock lies under which one process at a time puts an adapter in place and records it. */
    readonly lockDirectory: string,
  ) {}

  /** The policies of a fleet that this client has taken releases of. */
  policies(fleet: string): string[] {
    const sql = 'SELECT DISTINCT policy FROM taken WHERE fleet = ? ORDER BY policy';
    return this.database.all(policyRow, sql, [fleet]).map(({ policy }) => policy);
  }

  /** The releases of a policy that were taken, in order of their counters. */
  taken(fleet: string, policy: string): TakenRelease[] {
    const sql = 'SELECT * FROM taken WHERE fleet = ? AND policy = ? ORDER BY counter';
    return this.database.all(takenRow, sql, [fleet, policy]).map(takenRelease);
  }

  /**
   * Whether a release, whose signature the caller has verified, may be taken: 'new', or 'again' for the latest one.
   * Nothing is recorded.
   *
   * @throws RefusedError `release.older`, `release.equivocation`, `release.rolled-back`, `release.rollback-mismatch`
   * @throws ParameterError `field.*`
   */
  judge(offered: OfferedRelease): 'new' | 'again' {
    requireOffered(offered);
    return this.database.snapshot(() => judgeRelease(offered, this.historyOf(offered)));
  }

  /**
   * Records that a release was taken; on the disk when this returns. Its adapter is in place, on the disk, before.
   *
   * @param takenMs milliseconds since 1970
   * @throws as `judge`
   */
  record(offered: OfferedRelease, takenMs: number): void {
    requireOffered(offered);
    requireInteger('time', takenMs, 0);
    this.database.transaction(() => {
      if (judgeRelease(offered, this.historyOf(offered)) === 'again') return;
      const { fleet, policy, counter, release, adapterFingerprint, rollback } = offered;
      this.database.run(
        `INSERT INTO taken (fleet, policy, counter, release, adapter, rollback_to, taken_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?)`,
        [fleet, policy, counter, release, adapterFingerprint, rollback?.to ?? null, takenMs],
      );
      if (rollback === undefined) return;
      for (const adapter of rollback.withdrawn) {
        this.database.run(
          'INSERT OR REPLACE INTO withdrawn (fleet, policy, adapter, by_counter) VALUES (?, ?, ?, ?)',
          [fleet, policy, adapter, counter],
        );
      }
      this.database.run('DELETE FROM withdrawn WHERE fleet = ? AND policy = ? AND adapter = ?', [
        fleet,
        policy,
        adapterFingerprint,
      ]);
    });
  }

  close(): void {
    this.database.close();
  }

  private historyOf({ fleet, policy }: Pick<OfferedRelease, 'fleet' | 'policy'>): ReleaseHistory {
    const one = (condition: string, ...values: number[]): TakenRelease | undefined => {
      const sql = `SELECT * FROM taken WHERE fleet = ? AND policy = ? ${condition}`;
      const row = this.database.get(takenRow, sql, [fleet, policy, ...values]);
      return row && takenRelease(row);
    };
    return {
      latest: () => one('ORDER BY counter DESC LIMIT 1'),
      withCounter: (counter) => one('AND counter = ?', counter),
      isWithdrawn: (adapter) =>
        this.database.get(
          z.object({ by_counter: z.int() }),
          'SELECT by_counter FROM withdrawn WHERE fleet = ? AND policy = ? AND adapter = ?',
          [fleet, policy, adapter],
        ) !== undefined,
    };
  }
}

function takenRelease(row: z.infer<typeof takenRow>): TakenRelease {
  return {
    counter: row.counter,
    release: row.release,
    adapterFingerprint: row.adapter,
    takenMs: row.taken_ms,
    ...(row.rollback_to !== null && { rollbackTo: row.rollback_to }),
  };
}

function requireOffered(offered: OfferedRelease): void {
  encodeFields('release', [
    ['fleet', offered.fleet],
    ['policy', offered.policy],
    ['counter', offered.counter],
  ]);
  requireInteger('counter', offered.counter, 1);
  requireBytes32('release', offered.release);
  requireBytes32('adapter fingerprint', offered.adapterFingerprint);
  for (const adapter of offered.rollback?.withdrawn ?? []) requireBytes32('withdrawn adapter', adapter);
}
