/** SHA-256, once over every byte, in chunks of a mebibyte and off the main thread. */
import { createHash, webcrypto } from 'node:crypto';
import { CHUNK_BYTES } from './layout.js';

/** Chunks under way at once: enough to fill libuv's four threads, and few copies alive at a time. */
const CONCURRENT_CHUNKS = 4;

/** Under this, handing the work to another thread costs more than the work. */
const MAIN_THREAD_BYTES = 16 << 10;

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return Uint8Array.from(hash.digest());
}

export function chunkCount(lengthBytes: number): number {
  return Math.ceil(lengthBytes / CHUNK_BYTES);
}

/** The digest of one chunk, on another thread where that pays. */
export async function chunkDigest(chunk: Uint8Array): Promise<Uint8Array> {
  // WebCrypto refuses shared memory.
  if (chunk.length <= MAIN_THREAD_BYTES || !(chunk.buffer instanceof ArrayBuffer)) return sha256(chunk);
  return new Uint8Array(await webcrypto.subtle.digest('SHA-256', chunk));
}

/** Runs `work(0)`..`work(count - 1)`, a few at a time. Rejects with the first failure, once all have stopped. */
export async function forEachChunk(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      try {
        await work(index);
      } catch (error) {
        next = count;
        throw error;
      }
    }
  };
  const lanes = Array.from({ length: Math.min(CONCURRENT_CHUNKS, count) }, lane);
  for (const result of await Promise.allSettled(lanes)) {
    if (result.status === 'rejected') throw result.reason;
  }
}

/** The SHA-256 of each mebibyte of `data`, without copying it. No data, no digests. */
export async function chunkDigests(data: Uint8Array): Promise<Uint8Array[]> {
  const digests = new Array<Uint8Array>(chunkCount(data.length));
  await forEachChunk(digests.length, async (i) => {
    digests[i] = await chunkDigest(data.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES));
  });
  return digests;
}

/** The SHA-256 of each mebibyte of a stream, whose pieces may have any size; constant memory. */
export async function streamDigests(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const digests: Uint8Array[] = [];
  let hash = createHash('sha256');
  let filled = 0;
  for await (const piece of stream) {
    for (let offset = 0; offset < piece.length; ) {
      const part = piece.subarray(offset, offset + CHUNK_BYTES - filled);
      hash.update(part);
      filled += part.length;
      offset += part.length;
      if (filled === CHUNK_BYTES) {
        digests.push(Uint8Array.from(hash.digest()));
        hash = createHash('sha256');
        filled = 0;
      }
    }
  }
  if (filled > 0) digests.push(Uint8Array.from(hash.digest()));
  return digests;
}
