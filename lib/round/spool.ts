/** What must wait until its place in a file is known: kept on the disk, not in memory. */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EnvironmentError } from '../errors.js';
import type { StreamedSection } from '../package/writer.js';

export interface Spooled {
  readonly offset: number;
  readonly length: number;
}

export class Spool {
  #end = 0;

  private constructor(private readonly file: FileHandle) {}

  /** A nameless file: it is gone with the process, however that ends. */
  static async open(): Promise<Spool> {
    const path = join(tmpdir(), `tensorguard-${randomBytes(12).toString('hex')}.spool`);
    const file = await open(path, 'wx+', 0o600);
    try {
      await unlink(path);
    } catch (error) {
      await file.close();
      throw error;
    }
    return new Spool(file);
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
