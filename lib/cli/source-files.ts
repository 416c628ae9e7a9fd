/** Files that a command is given: by name, or by the directory that they are in. */
import { opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EnvironmentError } from '../errors.js';

/**
 * The files named, and of the directories named all files with one of the extensions; those with the first extension come
 * first, in a directory. No directory is listed in memory.
 *
 * @throws EnvironmentError `aggregate.no-such-source`
 */
export async function* filesOf(
  sources: readonly string[],
  extensions: readonly string[],
): AsyncGenerator<string, void, void> {
  for (const source of sources) {
    const status = await stat(source).catch((cause: unknown) => {
      throw new EnvironmentError('aggregate.no-such-source', `${source} cannot be read. Check the path.`, {
        cause,
      });
    });
    if (!status.isDirectory()) {
      yield source;
      continue;
    }
    for (const extension of extensions) {
      for await (const entry of await opendir(source)) {
        if (entry.name.endsWith(extension) && !entry.name.startsWith('.')) yield join(source, entry.name);
      }
    }
  }
}
