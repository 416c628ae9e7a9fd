/** Copying and releasing databases that other processes may have open. */
import { open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import Database from 'libsql';
import { EnvironmentError } from '../errors.js';
import { syncDirectory } from '../files.js';
import { createPrivateFile, errorCode, requirePrivateFile } from './private-files.js';

const BUSY_TIMEOUT_MS = 10_000;

/**
 * Copies a database as one of its moments: with what is still in its log, without what is not committed. The copy is one
 * file, mode 0600, on the disk when this returns; whether the content can be trusted shows when it is opened.
 *
 * @param at calls its argument at the moment that is meant: while it holds the write lock, say
 * @throws EnvironmentError `storage.missing`, `storage.symlink`, `storage.permissions`, `storage.failed`
 */
export async function copyDatabase(
  from: string,
  to: string,
  at: (copy: () => void) => void = (copy) => copy(),
): Promise<void> {
  await translated(from, async () => {
    await requirePrivateFile(from);
    // SQLite writes into an empty file that is there, and would make one with the umask's mode.
    await createPrivateFile(to);
    at(() => execute(from, BUSY_TIMEOUT_MS, `VACUUM INTO ${literal(resolve(to))}`));
    const copy = await open(to, 'r');
    try {
      await copy.sync();
    } finally {
      await copy.close();
    }
    await syncDirectory(dirname(to));
  });
}

/**
 * Leaves a database without a log, which succeeds only while nobody else has it open. Before its directory is replaced: a
 * connection that closes later removes the log at its path, whosever database is there by then
 * (sqlite.org/howtocorrupt.html, section 2.4).
 *
 * @returns false where a connection is open, in this process or another
 * @throws EnvironmentError `storage.missing`, `storage.symlink`, `storage.permissions`, `storage.failed`
 */
export async function foldLog(path: string): Promise<boolean> {
  return translated(path, async () => {
    await requirePrivateFile(path);
    try {
      execute(path, 0, 'PRAGMA journal_mode = DELETE');
      return true;
    } catch (error) {
      if (errorCode(error)?.startsWith('SQLITE_BUSY') || errorCode(error)?.startsWith('SQLITE_LOCKED')) {
        return false;
      }
      throw error;
    }
  });
}

/** With no statement object, which would keep the connection open until the garbage collector finds it. */
function execute(path: string, busyTimeoutMs: number, sql: string): void {
  const connection = new Database(resolve(path), { timeout: busyTimeoutMs });
  try {
    connection.exec(sql);
  } finally {
    connection.close();
  }
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

async function translated<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof EnvironmentError) throw error;
    throw errorCode(error) === 'ENOENT'
      ? new EnvironmentError('storage.missing', `There is no database at ${path}.`, { cause: error })
      : new EnvironmentError(
          'storage.failed',
          `${path} cannot be used; see the cause. Check the disk and who may access the directory.`,
          { cause: error },
        );
  }
}
