import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  pieces,
  readStored,
  StoredFileSource,
  sizeOf,
  storeBytes,
  storeStream,
} from '../../../lib/server/files/stored-file.js';
import type { BlobStore } from '../../../lib/store/store.js';
import { expectRefusal } from '../../support/refusals.js';

/** Blobs in memory, for what does not depend on where they lie. */
class MemoryBlobs {
  readonly held = new Map<string, Uint8Array>();

  async put(digest: string, bytes: Uint8Array): Promise<void> {
    this.held.set(digest, Uint8Array.from(bytes));
  }

  async putMany(blobs: readonly { readonly digest: string; readonly bytes: Uint8Array }[]): Promise<void> {
    for (const { digest, bytes } of blobs) await this.put(digest, bytes);
  }

  async read(digest: string): Promise<Uint8Array | undefined> {
    return this.held.get(digest);
  }
}

function memoryBlobs(): MemoryBlobs & BlobStore {
  return new MemoryBlobs() as MemoryBlobs & BlobStore;
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

async function* cut(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let i = 0; at < bytes.length; i += 1) {
    const size = sizes[i % sizes.length] as number;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

const MIB = 1 << 20;

describe('a file in the store', () => {
  it('is cut into mebibytes, however it arrives, and comes back as it was', async () => {
    for (const size of [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB + 17]) {
      const bytes = randomBytes(size);
      const blobs = memoryBlobs();
      const file = await storeBytes(blobs, bytes);
      expect(file.map(({ length }) => length).filter((length) => length !== MIB).length).to.be.at.most(1);
      expect(sizeOf(file)).to.equal(size);
      expect(await storeStream(memoryBlobs(), cut(bytes, [70_001, 1, 999_983]))).to.deep.equal(file);
      expect((await collect(readStored(blobs, file))).equals(bytes)).to.equal(true);
    }
  });

  it('gives any range of its bytes, streamed or read in place', async () => {
    const blobs = memoryBlobs();
    const bytes = randomBytes(2 * MIB + 5000);
    const file = await storeBytes(blobs, bytes);
    const position = fc.integer({ min: 0, max: bytes.length });
    await fc.assert(
      fc.asyncProperty(position, position, async (a, b) => {
        const [start, end] = a < b ? [a, b] : [b, a];
        expect(
          (await collect(readStored(blobs, file, start, end))).equals(bytes.subarray(start, end)),
        ).to.equal(true);
        const target = new Uint8Array(end - start);
        await new StoredFileSource(blobs, file).read(target, start);
        expect(bytes.subarray(start, end).equals(target)).to.equal(true);
      }),
      { numRuns: 40 },
    );
  });

  it('is refused beyond its end, and where a blob is gone or another', async () => {
    const blobs = memoryBlobs();
    const file = await storeBytes(blobs, randomBytes(MIB + 10));
    const source = new StoredFileSource(blobs, file);
    await expectRefusal('container.truncated', () => source.read(new Uint8Array(20), MIB));
    blobs.held.set(file[1]?.digest as string, new Uint8Array(3));
    await expectRefusal('store.blob-missing', () => source.read(new Uint8Array(5), MIB));
    blobs.held.delete(file[0]?.digest as string);
    await expectRefusal('store.blob-missing', () => source.read(new Uint8Array(5), 0));
  });
});

describe('pieces of a stream', () => {
  it('have the size that was asked for, whatever the stream comes in', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 64 }),
        async (bytes, sizes, size) => {
          const got: Uint8Array[] = [];
          for await (const piece of pieces(cut(bytes, sizes), size)) got.push(piece);
          expect(Buffer.concat(got).equals(bytes)).to.equal(true);
          expect(got.slice(0, -1).every(({ length }) => length === size)).to.equal(true);
          expect(got.every(({ length }) => length > 0)).to.equal(true);
        },
      ),
    );
  });
});
