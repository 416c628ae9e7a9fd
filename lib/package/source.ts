/** Where a container's bytes are read from: a file or memory. */
import { constants, type FileHandle, open } from 'node:fs/promises';
import { EnvironmentError, FormatError } from '../errors.js';
import { truncated } from './layout.js';

export interface ByteSource {
  readonly sizeBytes: number;
  /** Fills `target` from `position` on. @throws FormatError `container.truncated` */
  read(target: Uint8Array, position: number): Promise<void>;
  close(): Promise<void>;
}

class FileSource implements ByteSource {
  readonly sizeBytes: number;
  readonly #file: FileHandle;

  constructor(file: FileHandle, sizeBytes: number) {
    this.#file = file;
    this.sizeBytes = sizeBytes;
  }

  async read(target: Uint8Array, position: number): Promise<void> {
    let done = 0;
    while (done < target.length) {
      const { bytesRead } = await this.#file.read(target, done, target.length - done, position + done);
      if (bytesRead === 0)
        throw truncated(`the file ends at byte ${position + done}: it was cut while it was read`);
      done += bytesRead;
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

class MemorySource implements ByteSource {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get sizeBytes(): number {
    return this.#bytes.length;
  }

  /** Copies, so that what is then verified cannot be changed from outside any more. */
  async read(target: Uint8Array, position: number): Promise<void> {
    const from = this.#bytes.subarray(position, position + target.length);
    if (from.length < target.length) throw truncated(`there are no ${target.length} bytes at ${position}`);
    target.set(from);
  }

  async close(): Promise<void> {}
}

/** Where a container may come from: a path, the file's bytes, or something else that can be read at a position. */
export type ContainerOrigin = string | Uint8Array | ByteSource;

/**
 * @param from a path, the file's bytes, or a source, which the container then closes
 * @throws EnvironmentError `container.unreadable`
 * @throws FormatError `container.not-a-file`
 */
export async function openSource(from: ContainerOrigin): Promise<ByteSource> {
  if (from instanceof Uint8Array) return new MemorySource(from);
  if (typeof from !== 'string') return from;
  let file: FileHandle;
  try {
    // Opening a named pipe would otherwise wait for somebody to write to it.
    file = await open(from, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EnvironmentError('container.unreadable', `cannot open ${from}: ${reason}`, { cause });
  }
  try {
    const status = await file.stat();
    if (!status.isFile()) throw new FormatError('container.not-a-file', `${from} is not a regular file`);
    return new FileSource(file, status.size);
  } catch (error) {
    await file.close();
    throw error;
  }
}
