/** A copy of roles' directories, whose databases may still be open: a closed connection lives on until memory is collected. */
import { copyFile, mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { copyDatabase } from '../../../lib/durable/database-copy.js';

const LOG_OR_INDEX = /\.sqlite-(?:wal|shm)$/;

/** @param to does not exist yet; its parents are made */
export async function copyDirectory(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: (await stat(from)).mode });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await copyDirectory(source, target);
    else if (entry.name.endsWith('.sqlite')) await copyDatabase(source, target);
    else if (!LOG_OR_INDEX.test(entry.name)) await copyFile(source, target);
  }
}
