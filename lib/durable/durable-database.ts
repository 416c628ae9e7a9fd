/**
 * One SQLite file whose committed transactions survive a crash and a power cut, and that refuses to open
 * when it is not what was written: the store under the custodian's ledger and the client's state.
 *
 * Write-ahead log, `synchronous = FULL`: a commit returns when the log is on the disk. Writers take the
 * lock first (`BEGIN IMMEDIATE`), so that a transaction reads nothing that another process then changes.
 */
import { randomBytes } from 'node:crypto';
import { link, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import Database from 'libsql';
import { z } from 'zod';
import { EnvironmentError, RefusedError, TensorGuardError } from '../errors.js';
import { syncDirectory } from '../files.js';
import { type DatabaseDescription, expectedSchema, schemaOf, writeSchema } from './database-schema.js';
import {
  createPrivateDirectory,
  createPrivateFile,
  errorCode,
  requirePrivateDirectory,
  requirePrivateFile,
} from './private-files.js';

export type SqlValue = string | number | Uint8Array | null;

/** A blob column; libsql returns `Buffer` for one row and `ArrayBuffer` for many. */
export const blobColumn = z
  .union([z.instanceof(Uint8Array), z.instanceof(ArrayBuffer)])
  .transform((value): Uint8Array => new Uint8Array(value));

const BUSY_TIMEOUT_MS = 10_000;

export class DurableDatabase {
  private constructor(
    private readonly connection: Database.Database,
    private readonly path: string,
    private readonly description: DatabaseDescription,
  ) {}

  /**
   * Creates the file at `path`, whole or not at all, with mode 0600 in a directory of mode 0700, and opens it.
   *
   * @throws RefusedError `storage.exists` if anything is at `path`; what `open` throws
   */
  static async create(path: string, description: DatabaseDescription): Promise<DurableDatabase> {
    const absolutePath = resolve(path);
    const directory = dirname(absolutePath);
    const temporary = join(directory, `.${basename(absolutePath)}.${randomBytes(6).toString('hex')}.tmp`);
    try {
      await createPrivateDirectory(directory);
      // SQLite would create the file with the umask's mode; the log and its index take over the file's.
      await createPrivateFile(temporary);
      try {
        writeSchema(temporary, description);
        // A file appears under its name only with its schema: an empty one there was truncated.
        await link(temporary, absolutePath);
      } finally {
        await unlink(temporary);
      }
      await syncDirectory(directory);
    } catch (error) {
      throw errorCode(error) === 'EEXIST'
        ? new RefusedError(
            'storage.exists',
            `${path} exists, and a ${description.name} is never overwritten.`,
          )
        : storageFailed(absolutePath, error);
    }
    return DurableDatabase.open(path, description);
  }

  /**
   * Opens the file at `path` and checks its schema, its pages and that every unique index agrees with its
   * table.
   *
   * The file must not be opened by other means than SQLite: closing any descriptor of it drops every lock
   * that SQLite holds on it in this process (sqlite.org/howtocorrupt.html, section 2.2).
   *
   * @throws EnvironmentError `storage.missing`, `storage.permissions`, `storage.symlink`, `storage.busy`,
   *   `storage.failed`
   * @throws what `description.corrupt` makes, if a check fails
   */
  static async open(path: string, description: DatabaseDescription): Promise<DurableDatabase> {
    const absolutePath = resolve(path);
    await requireSafeFile(absolutePath, description);
    let connection: Database.Database;
    try {
      connection = new Database(absolutePath, { timeout: BUSY_TIMEOUT_MS });
    } catch (error) {
      throw storageFailed(absolutePath, error);
    }
    const database = new DurableDatabase(connection, absolutePath, description);
    try {
      await database.enterDurableMode();
      database.verify();
    } catch (error) {
      connection.close();
      throw error;
    }
    return database;
  }

  /** Runs `body` in one transaction that holds the write lock; committed and on the disk when it returns. */
  transaction<T>(body: () => T): T {
    return this.inTransaction('BEGIN IMMEDIATE', body);
  }

  /** Runs `body` on one snapshot of the file. */
  snapshot<T>(body: () => T): T {
    return this.inTransaction('BEGIN DEFERRED', body);
  }

  run(sql: string, values: readonly SqlValue[] = []): number {
    return this.translated(() => this.connection.prepare(sql).run([...values]).changes);
  }

  /** Runs an `INSERT` or `UPDATE`; false, with nothing changed, if a unique constraint forbids it. */
  runUnique(sql: string, values: readonly SqlValue[]): boolean {
    try {
      this.connection.prepare(sql).run([...values]);
      return true;
    } catch (error) {
      const code = sqliteCode(error);
      if (code === 'SQLITE_CONSTRAINT_UNIQUE' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY') {
        return false;
      }
      throw this.translate(error);
    }
  }

  get<T>(row: z.ZodType<T>, sql: string, values: readonly SqlValue[] = []): T | undefined {
    const value = this.translated(() => this.connection.prepare(sql).get([...values]));
    return value === undefined ? undefined : this.parse(row, value);
  }

  all<T>(row: z.ZodType<T>, sql: string, values: readonly SqlValue[] = []): T[] {
    const found = this.translated(() => this.connection.prepare(sql).all([...values]));
    return found.map((value) => this.parse(row, value));
  }

  close(): void {
    try {
      // Moves the log into the main file, which is what people copy when they back up.
      this.connection.exec('PRAGMA wal_checkpoint(PASSIVE)');
    } catch {
      // Another process is using the file; the log stays, and stays valid.
    }
    this.connection.close();
  }

  private inTransaction<T>(begin: string, body: () => T): T {
    this.translated(() => this.connection.exec(begin));
    try {
      const result = body();
      this.translated(() => this.connection.exec('COMMIT'));
      return result;
    } catch (error) {
      // SQLite has already rolled back after some errors (disk full), where ROLLBACK would hide the cause.
      if (this.connection.inTransaction) {
        this.connection.exec('ROLLBACK');
      }
      throw error;
    }
  }

  private async enterDurableMode(): Promise<void> {
    const deadline = Date.now() + BUSY_TIMEOUT_MS;
    for (;;) {
      try {
        this.connection.exec('PRAGMA journal_mode = WAL');
        break;
      } catch (error) {
        // Two processes that open a new file at once meet here, where SQLite gives up without waiting.
        if (!sqliteCode(error)?.startsWith('SQLITE_BUSY') || Date.now() > deadline) {
          throw this.translate(error);
        }
        await new Promise((done) => setTimeout(done, 20));
      }
    }
    this.run('PRAGMA synchronous = FULL');
    this.run('PRAGMA foreign_keys = ON');
    this.run('PRAGMA trusted_schema = OFF');
    if (this.pragma('journal_mode') !== 'wal' || this.pragma('synchronous') !== 2) {
      throw new EnvironmentError(
        'storage.failed',
        `The file system of ${this.path} does not support a durable write-ahead log. Use a local disk.`,
      );
    }
  }

  private verify(): void {
    this.snapshot(() => {
      const { name, corrupt } = this.description;
      if (this.pragma('application_id') !== this.description.applicationId) {
        throw corrupt(`${this.path} is not a ${name}`);
      }
      // Without its unique constraints the file would still work, and let through what they forbid.
      if (this.translated(() => schemaOf(this.connection)) !== expectedSchema(this.description)) {
        throw corrupt('its tables are not those of this version');
      }
      const integrity = this.pragma('integrity_check(1)');
      if (integrity !== 'ok') {
        throw corrupt(String(integrity));
      }
      if (this.all(z.unknown(), 'PRAGMA foreign_key_check').length > 0) {
        throw corrupt('a row refers to one that is missing');
      }
    });
  }

  private pragma(name: string): unknown {
    const row = this.translated(() => this.connection.prepare(`PRAGMA ${name}`).raw().get());
    return Array.isArray(row) ? row[0] : undefined;
  }

  private parse<T>(row: z.ZodType<T>, value: unknown): T {
    const result = row.safeParse(value);
    if (!result.success) {
      throw this.description.corrupt('a row holds values of the wrong kind');
    }
    return result.data;
  }

  private translated<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw this.translate(error);
    }
  }

  private translate(error: unknown): unknown {
    const code = sqliteCode(error);
    if (code === undefined) {
      return error;
    }
    if (code.startsWith('SQLITE_BUSY')) {
      return new EnvironmentError(
        'storage.busy',
        `Another process has held ${this.path} for ${BUSY_TIMEOUT_MS / 1000} s. Wait for it, or stop it.`,
        { cause: error },
      );
    }
    // A short read: the file ends before the pages that it should have.
    if (/^SQLITE_(CORRUPT|NOTADB|IOERR_SHORT_READ)/.test(code)) {
      return this.description.corrupt(error instanceof Error ? error.message : code);
    }
    return storageFailed(this.path, error);
  }
}

async function requireSafeFile(path: string, description: DatabaseDescription): Promise<void> {
  try {
    await requirePrivateDirectory(dirname(path));
    const { size } = await requirePrivateFile(path);
    // SQLite would take an empty file for a new one, and write to it.
    if (size === 0) {
      throw description.corrupt(`${path} is empty`);
    }
  } catch (error) {
    throw errorCode(error) === 'ENOENT'
      ? new EnvironmentError(
          'storage.missing',
          `There is no ${description.name} at ${path}. ${description.adviceIfMissing}`,
        )
      : storageFailed(path, error);
  }
}

function sqliteCode(error: unknown): string | undefined {
  const code = errorCode(error);
  return code?.startsWith('SQLITE_') ? code : undefined;
}

function storageFailed(path: string, error: unknown): TensorGuardError {
  return error instanceof TensorGuardError
    ? error
    : new EnvironmentError(
        'storage.failed',
        `${path} cannot be used; see the cause. Check the disk and who may access the directory.`,
        { cause: error },
      );
}
