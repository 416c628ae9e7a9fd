/** What must wait until its place in a file is known: kept on the disk, not in memory. */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EnvironmentError } from '../errors.js';
import type { StreamedSection } from '../package/writer.js';

export interface Spooled {
  readonly offset: number;
  readonly length: number;
}

// Linux's O_TMPFILE, which Node does not name: a file that never has a name. O_EXCL: and never gets one.
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;
const NAMELESS = O_TMPFILE | constants.O_RDWR | constants.O_EXCL;
// What a file system or a kernel without it answers.
const UNSUPPORTED: readonly unknown[] = ['ENOTSUP', 'EOPNOTSUPP', 'EISDIR', 'EINVAL'];

const NAME = /^tensorguard-[0-9a-f]{24}\.spool$/;

async function openNameless(directory: string): Promise<FileHandle | undefined> {
  if (process.platform !== 'linux') return undefined;
  try {
    return await open(directory, NAMELESS, 0o600);
  } catch (error) {
    if (UNSUPPORTED.includes((error as NodeJS.ErrnoException).code)) return undefined;
    throw error;
  }
}

/**
 * Removes the names that killed processes left. A process that is still alive does not need its file's name either, so
 * that no age or lock has to tell the two apart.
 */
async function removeLeftNames(directory: string): Promise<void> {
  // A shared directory may be one to write in and not to list, and need not be listed for a file of one's own.
  const names = await readdir(directory).catch(() => []);
  const left = names.filter((name) => NAME.test(name));
  // Another user's, in a shared directory, is for that user to remove.
  await Promise.all(left.map((name) => unlink(join(directory, name)).catch(() => undefined)));
}

async function openAndUnlink(directory: string): Promise<FileHandle> {
  await removeLeftNames(directory);
  const path = join(directory, `tensorguard-${randomBytes(12).toString('hex')}.spool`);
  const file = await open(path, 'wx+', 0o600);
  try {
    await unlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return file; // another process tidied up first
    await file.close();
    throw error;
  }
  return file;
}

export class Spool {
  #end = 0;

  private constructor(private readonly file: FileHandle) {}

  /**
   * A nameless file: it is gone with the process, however that ends. Where a file cannot be made without a name, a kill
   * in between may leave an empty one, which the next call removes.
   */
  static async open(): Promise<Spool> {
    const directory = tmpdir();
    return new Spool((await openNameless(directory)) ?? (await openAndUnlink(directory)));
  }

  async append(bytes: Uint8Array): Promise<Spooled> {
    const piece = { offset: this.#end, length: bytes.length };
    await this.file.write(bytes, 0, bytes.length, this.#end);
    this.#end += bytes.length;
    return piece;
  }

  /** Pieces in the order given, as one section. */
  section(pieces: readonly Spooled[]): StreamedSection {
    const read = this.#read.bind(this, pieces);
    return { length: pieces.reduce((sum, { length }) => sum + length, 0), read };
  }

  async *#read(pieces: readonly Spooled[]): AsyncGenerator<Uint8Array, void, void> {
    for (const { offset, length } of pieces) {
      const bytes = new Uint8Array(length);
      const { bytesRead } = await this.file.read(bytes, 0, length, offset);
      if (bytesRead !== length) {
        throw new EnvironmentError(
          'aggregate.spool',
          `The temporary file in ${tmpdir()} gave ${bytesRead} of ${length} bytes. Check the disk, and try again.`,
        );
      }
      yield bytes;
    }
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}
