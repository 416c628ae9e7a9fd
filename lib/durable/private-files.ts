/** Files and directories that nobody but their user may touch. */
import type { Stats } from 'node:fs';
import { lstat, mkdir, open, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { EnvironmentError } from '../errors.js';
import { syncDirectory } from '../files.js';

/**
 * Creates a directory, mode 0700, with those above it, on the disk when it returns; or checks the one that is
 * there.
 *
 * @throws EnvironmentError `storage.permissions`
 */
export async function createPrivateDirectory(directory: string): Promise<void> {
  const target = resolve(directory);
  const first = await mkdir(target, { recursive: true, mode: 0o700 });
  if (first !== undefined) {
    const existing = dirname(resolve(first));
    for (let created = target; created !== existing; created = dirname(created)) {
      await syncDirectory(dirname(created));
    }
  }
  await requirePrivateDirectory(directory);
}

/** @throws EnvironmentError `storage.permissions` if others may write to it, and so replace what lies there */
export async function requirePrivateDirectory(directory: string): Promise<void> {
  if (((await stat(directory)).mode & 0o022) !== 0) {
    throw new EnvironmentError(
      'storage.permissions',
      `Others may write to ${directory}, and could replace what lies there. Run: chmod 700 ${directory}`,
    );
  }
}

/** Creates an empty file of mode 0600. @throws `EEXIST` if anything is at the path */
export async function createPrivateFile(path: string): Promise<void> {
  await (await open(path, 'wx', 0o600)).close();
}

/**
 * The status of a file that only its user may touch.
 *
 * @throws EnvironmentError `storage.symlink` if it is no regular file, `storage.permissions` if others may
 *   read or write it
 */
export async function requirePrivateFile(path: string): Promise<Stats> {
  const status = await lstat(path);
  if (!status.isFile()) {
    throw new EnvironmentError('storage.symlink', `${path} is not a regular file. Name the file itself.`);
  }
  if ((status.mode & 0o077) !== 0) {
    throw new EnvironmentError(
      'storage.permissions',
      `Others may read or write ${path}. Run: chmod 600 ${path}`,
    );
  }
  return status;
}

/** The `code` of an error from Node or SQLite: "ENOENT", "SQLITE_BUSY". */
export function errorCode(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}
