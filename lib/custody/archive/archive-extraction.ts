/** An archive's files on the disk, in a directory that nobody uses yet. */
import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from '../../files.js';
import type { SecretBytes } from '../secret-bytes.js';
import { readArchive } from './archive-format.js';
import { badPath } from './archive-paths.js';

/**
 * Writes an archive's files below `directory`, which is there and empty, each new and on the disk. If this throws, what was
 * written is the caller's to remove.
 *
 * @param isExpected says which paths there may be; others are refused
 * @returns the paths
 * @throws FormatError `archive.bad-path`; what `readArchive` throws
 */
export async function extractArchive(
  path: string,
  passphrase: SecretBytes,
  directory: string,
  isExpected: (path: string) => boolean,
): Promise<readonly string[]> {
  const extracted: string[] = [];
  const folders = new Set<string>([directory]);
  await readArchive(path, passphrase, async (entry, content) => {
    if (!isExpected(entry.path)) throw badPath(entry.path, 'is none that a role has');
    const target = join(directory, entry.path);
    await makeFolder(dirname(target), directory, folders);
    const file = await open(target, 'wx', entry.mode);
    try {
      for await (const chunk of content) await file.writeFile(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    extracted.push(entry.path);
  });
  for (const folder of folders) await syncDirectory(folder);
  return extracted;
}

async function makeFolder(folder: string, root: string, made: Set<string>): Promise<void> {
  if (made.has(folder)) return;
  await makeFolder(dirname(folder), root, made);
  await mkdir(folder, { mode: 0o700 });
  made.add(folder);
}
