/** Bodies that can be sent more than once: an attempt that fails is made again from the beginning. */
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { EnvironmentError } from '../../errors.js';

export interface OpenBody {
  readonly content: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array>;
  readonly sizeBytes: number;
  close(): Promise<void>;
}

export interface RequestBody {
  readonly mediaType: string;
  /** All bytes, where they are in memory: what `Content-Digest` is made from. */
  readonly bytes: Uint8Array<ArrayBuffer> | undefined;
  open(): Promise<OpenBody>;
}

const OCTETS = 'application/octet-stream';

export function bytesBody(data: Uint8Array, mediaType = OCTETS): RequestBody {
  const bytes = Uint8Array.from(data);
  return {
    mediaType,
    bytes,
    open: async () => ({ content: bytes, sizeBytes: bytes.length, close: async () => undefined }),
  };
}

export function jsonBody(value: unknown): RequestBody {
  return bytesBody(new TextEncoder().encode(JSON.stringify(value)), 'application/json');
}

/** A file, streamed. Only for paths that name it by its fingerprint: its digest is not known beforehand. */
export function fileBody(path: string): RequestBody {
  return { mediaType: OCTETS, bytes: undefined, open: () => openFile(path) };
}

async function openFile(path: string): Promise<OpenBody> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new EnvironmentError('http.file-unreadable', `${path} cannot be read. Check the path.`, { cause });
  });
  try {
    const { size } = await file.stat();
    // No further than the length that is announced, should the file grow meanwhile.
    const stream = file.createReadStream({ autoClose: false, ...(size > 0 && { end: size - 1 }) });
    return {
      content: Readable.toWeb(stream) as ReadableStream<Uint8Array>,
      sizeBytes: size,
      close: async () => {
        stream.destroy();
        await file.close();
      },
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}
