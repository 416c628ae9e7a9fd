/** What a build step reads, reduced to one digest: the step is skipped while the digest stays the same. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** Files below `directory` for which `accept` holds, as paths relative to `root`, in a fixed order. */
export function listFiles(root, directory, accept = () => true) {
  const start = join(root, directory);
  if (!existsSync(start)) return [];
  if (statSync(start).isFile()) return accept(directory) ? [directory] : [];
  return readdirSync(start, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter(accept)
    .sort();
}

/** A digest of the files' paths and contents and of `settings` (whatever else decides the outcome). */
export function digestInputs(root, files, settings) {
  const hash = createHash('sha256').update(JSON.stringify(settings));
  for (const file of files) {
    const path = join(root, file);
    hash.update(`\0${file}\0`);
    if (existsSync(path)) hash.update(readFileSync(path));
  }
  return hash.digest('hex');
}

export function readStamp(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

export function writeStamp(path, digest) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, digest);
}
