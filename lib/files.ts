/** Files that are either there, whole and on the disk, or not there at all. */
import { randomBytes } from 'node:crypto';
import { type FileHandle, link, mkdir, open, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Flushes a directory entry, without which a rename may be lost with the power. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export interface AtomicWriteOptions {
  /** File mode; 0o600 for anything secret. */
  readonly mode?: number;
  /** Fail with `EEXIST` rather than replace a file that is there. */
  readonly exclusive?: boolean;
}

/**
 * Runs `write` on a temporary file beside `path`, then fsyncs and renames it into place. If `write`
 * throws, nothing is left behind and `path` is as it was.
 */
export async function writeFileAtomically(
  path: string,
  write: (file: FileHandle) => Promise<void>,
  options: AtomicWriteOptions = {},
): Promise<void> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true });
  const temporary = join(directory, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  const file = await open(temporary, 'wx', options.mode ?? 0o644);
  try {
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
    if (options.exclusive) {
      await link(temporary, path);
      await unlink(temporary);
    } else {
      await rename(temporary, path);
    }
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncDirectory(directory);
}

/** Writes `data` to `path` atomically; see {@link writeFileAtomically}. */
export async function replaceFile(
  path: string,
  data: string | Uint8Array,
  options: AtomicWriteOptions = {},
): Promise<void> {
  await writeFileAtomically(path, async (file) => file.writeFile(data), options);
}
