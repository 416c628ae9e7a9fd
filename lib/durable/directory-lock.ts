/**
 * One process at a time changes the files of a directory.
 *
 * The lock is SQLite's write lock on an empty file. The kernel drops it with the process, however that dies,
 * which a file that merely exists cannot offer; nothing is ever written to it.
 */
import { randomBytes } from 'node:crypto';
import { access, link, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'libsql';
import { EnvironmentError, TensorGuardError } from '../errors.js';
import { createPrivateFile, errorCode } from './private-files.js';

/** What a crash while the lock file is made leaves behind. */
export const ORPHANED_LOCK_NAME = /^store\.lock\.[0-9a-f]{12}$/;

const WAIT_MS = 120_000;
const POLL_MS = 10;

/**
 * Runs `body` while no other process, and no other call in this one, runs under the lock of `root`.
 *
 * @throws EnvironmentError `storage.busy` after two minutes, `storage.failed`; what `body` throws
 */
export async function withDirectoryLock<T>(root: string, body: () => Promise<T>): Promise<T> {
  const path = join(root, 'store.lock');
  let connection: Database.Database;
  try {
    await createLockFile(path);
    // SQLite itself would wait in this thread, for a lock that the same thread may have to release.
    connection = new Database(path, { timeout: 0 });
  } catch (error) {
    throw lockFailed(path, error);
  }
  try {
    await acquire(connection, path);
    return await body();
  } finally {
    connection.close();
  }
}

async function acquire(connection: Database.Database, path: string): Promise<void> {
  for (const deadline = Date.now() + WAIT_MS; ; ) {
    try {
      connection.exec('BEGIN IMMEDIATE');
      return;
    } catch (error) {
      if (!errorCode(error)?.startsWith('SQLITE_BUSY')) throw lockFailed(path, error);
      if (Date.now() > deadline) throw busy(path);
    }
    await delay(POLL_MS);
  }
}

/**
 * By a link, since closing any descriptor of a file drops the locks that this process holds on it
 * (sqlite.org/howtocorrupt.html, section 2.2): the one that creates it is closed before it has its name.
 */
async function createLockFile(path: string): Promise<void> {
  if (await exists(path)) return;
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  await createPrivateFile(temporary);
  try {
    await link(temporary, path);
  } catch (error) {
    // ENOENT: whoever made the lock meanwhile has tidied up.
    if (errorCode(error) !== 'EEXIST' && errorCode(error) !== 'ENOENT') throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    return false;
  }
}

function busy(path: string): EnvironmentError {
  return new EnvironmentError(
    'storage.busy',
    `Another process has held ${path} for ${WAIT_MS / 1000} s. Wait for it, or stop it.`,
  );
}

function lockFailed(path: string, error: unknown): unknown {
  return error instanceof TensorGuardError || errorCode(error) === undefined
    ? error
    : new EnvironmentError(
        'storage.failed',
        `${path} cannot be used; see the cause. Check the disk's free space and who may access the directory.`,
        { cause: error },
      );
}
