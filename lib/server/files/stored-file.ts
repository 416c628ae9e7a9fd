/**
 * A file as the store keeps it: a list of blobs, in order. An update's are its envelope and the mebibytes that its signed
 * header names by their digests, so that what is received is what is stored.
 */
import { z } from 'zod';
import { EnvironmentError } from '../../errors.js';
import { sha256 } from '../../package/digests.js';
import { CHUNK_BYTES, truncated } from '../../package/layout.js';
import type { ByteSource } from '../../package/source.js';
import type { Blob, BlobStore } from '../../store/store.js';

export const storedPieceSchema = z.strictObject({
  /** SHA-256, 64 hexadecimal digits. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  length: z.int().min(0),
});
export type StoredPiece = z.infer<typeof storedPieceSchema>;

export const storedFileSchema = z.array(storedPieceSchema);
/** Its pieces, in order. */
export type StoredFile = readonly StoredPiece[];

export function sizeOf(file: StoredFile): number {
  return file.reduce((sum, { length }) => sum + length, 0);
}

/** A blob of bytes, with its name. */
export function blobOf(bytes: Uint8Array): Blob {
  return { digest: Buffer.from(sha256(bytes)).toString('hex'), bytes };
}

/** Stores a file that is in memory, in pieces of a mebibyte. On the disk when it resolves. */
export async function storeBytes(blobs: BlobStore, bytes: Uint8Array): Promise<StoredFile> {
  const pieces: Blob[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES)
    pieces.push(blobOf(bytes.subarray(at, at + CHUNK_BYTES)));
  await blobs.putMany(pieces);
  return pieces.map(({ digest, bytes: piece }) => ({ digest, length: piece.length }));
}

/** Stores a file a mebibyte at a time. On the disk when it resolves. */
export async function storeStream(blobs: BlobStore, stream: AsyncIterable<Uint8Array>): Promise<StoredFile> {
  const file: StoredPiece[] = [];
  for await (const piece of pieces(stream, CHUNK_BYTES)) {
    const blob = blobOf(piece);
    await blobs.put(blob.digest, piece);
    file.push({ digest: blob.digest, length: piece.length });
  }
  return file;
}

/** The stream in pieces of exactly `sizeBytes`, the last one shorter; each the caller's to keep. */
export async function* pieces(
  stream: AsyncIterable<Uint8Array>,
  sizeBytes: number,
): AsyncGenerator<Uint8Array, void, void> {
  let piece = new Uint8Array(sizeBytes);
  let filled = 0;
  for await (const data of stream) {
    let rest = data;
    while (rest.length > 0) {
      const taken = rest.subarray(0, sizeBytes - filled);
      piece.set(taken, filled);
      filled += taken.length;
      rest = rest.subarray(taken.length);
      if (filled === sizeBytes) {
        yield piece;
        piece = new Uint8Array(sizeBytes);
        filled = 0;
      }
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}

async function readPiece(blobs: BlobStore, { digest, length }: StoredPiece): Promise<Uint8Array> {
  const bytes = await blobs.read(digest);
  if (bytes !== undefined && bytes.length === length) return bytes;
  throw new EnvironmentError(
    'store.blob-missing',
    `The store does not hold the blob ${digest} that it should.`,
  );
}

/** The bytes of a stored file from `start` to `end`, a piece at a time. */
export async function* readStored(
  blobs: BlobStore,
  file: StoredFile,
  start = 0,
  end = sizeOf(file),
): AsyncGenerator<Uint8Array, void, void> {
  let offset = 0;
  for (const piece of file) {
    const [from, to] = [Math.max(start - offset, 0), Math.min(end - offset, piece.length)];
    if (from < to) yield (await readPiece(blobs, piece)).subarray(from, to);
    offset += piece.length;
  }
}

/** A stored file that a container can be read from. The last piece is kept: sections are read in order. */
export class StoredFileSource implements ByteSource {
  readonly sizeBytes: number;
  readonly #blobs: BlobStore;
  readonly #file: StoredFile;
  #last: { readonly piece: StoredPiece; readonly bytes: Uint8Array } | undefined;

  constructor(blobs: BlobStore, file: StoredFile) {
    this.#blobs = blobs;
    this.#file = file;
    this.sizeBytes = sizeOf(file);
  }

  async read(target: Uint8Array, position: number): Promise<void> {
    if (position + target.length > this.sizeBytes) {
      throw truncated(`there are no ${target.length} bytes at ${position}`);
    }
    let offset = 0;
    for (const piece of this.#file) {
      const from = Math.max(position - offset, 0);
      const to = Math.min(position + target.length - offset, piece.length);
      if (from < to) target.set((await this.#bytesOf(piece)).subarray(from, to), offset + from - position);
      offset += piece.length;
    }
  }

  async close(): Promise<void> {
    this.#last = undefined;
  }

  async #bytesOf(piece: StoredPiece): Promise<Uint8Array> {
    if (this.#last?.piece === piece) return this.#last.bytes;
    const bytes = await readPiece(this.#blobs, piece);
    this.#last = { piece, bytes };
    return bytes;
  }
}
