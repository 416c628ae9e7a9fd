/** Which names an archive may hold: relative, plain, and inside the directory that they are restored to. */
import { FormatError } from '../../errors.js';

const MAX_PATH_BYTES = 512;
const MAX_DEPTH = 4;

/**
 * One component: it does not begin with a dot (which excludes ".", ".." and what temporary files are called), and holds no
 * separator of any system, no colon (drives, streams) and no control character.
 */
const COMPONENT = /^[^./\\:\p{Cc}\p{Cf}\p{Cs}][^/\\:\p{Cc}\p{Cf}\p{Cs}]*$/u;

/** @throws FormatError `archive.bad-path` */
export function requireArchivePath(path: string): void {
  const components = path.split('/');
  if (
    Buffer.byteLength(path) > MAX_PATH_BYTES ||
    components.length > MAX_DEPTH ||
    !components.every((component) => COMPONENT.test(component))
  ) {
    throw badPath(path, 'is no plain relative path');
  }
}

/** The paths of one archive: each once, and none the folder of another. */
export class ArchivePaths {
  readonly #files = new Set<string>();
  readonly #folders = new Set<string>();

  /** @throws FormatError `archive.bad-path` */
  add(path: string): void {
    requireArchivePath(path);
    const folders = foldersOf(path);
    if (this.#files.has(path)) throw badPath(path, 'is there twice');
    if (this.#folders.has(path) || folders.some((folder) => this.#files.has(folder))) {
      throw badPath(path, 'is both a file and a folder');
    }
    this.#files.add(path);
    for (const folder of folders) this.#folders.add(folder);
  }
}

function foldersOf(path: string): string[] {
  const components = path.split('/');
  return components.slice(1).map((_, i) => components.slice(0, i + 1).join('/'));
}

export function badPath(path: string, why: string): FormatError {
  return new FormatError(
    'archive.bad-path',
    `A file in the archive has a name that is refused: ${JSON.stringify(path.slice(0, 200))} ${why}. ` +
      'Do not use this archive.',
  );
}
