/**
 * Blobs as files, each written whole and synced beside its place, then linked into it.
 *
 * A file gets or loses its name, or becomes new again, only under the database's write lock, which costs no write:
 * a sweep that finds a blob old cannot remove it after a put has found it present.
 */
import { linkSync, statSync, unlinkSync, utimesSync } from 'node:fs';
import { open, readFile, rm, stat } from 'node:fs/promises';
import type { DurableDatabase } from '../../durable/durable-database.js';
import { errorCode } from '../../durable/private-files.js';
import { EnvironmentError, TensorGuardError } from '../../errors.js';
import { syncDirectory } from '../../files.js';
import { blobCorrupt, digestOf, requireBlob, requireDigest } from '../limits.js';
import type { Blob, BlobStore, BlobUsage, StoredBlob } from '../store.js';
import type { BlobFiles } from './blob-files.js';

/** Syncs that wait together share the file system's commits; more of them gain nothing and hold more files open. */
const PARALLEL_WRITES = 16;

type Found = 'missing' | 'damaged' | 'intact';

/** A blob on its way: what lies at its place, and the file that is to go there where one was needed. */
interface Arrival {
  readonly digest: string;
  readonly found: Found;
  readonly incoming: string | undefined;
}

export class EmbeddedBlobs implements BlobStore {
  constructor(
    private readonly files: BlobFiles,
    private readonly database: DurableDatabase,
  ) {}

  async put(digest: string, bytes: Uint8Array): Promise<void> {
    await this.putMany([{ digest, bytes }]);
  }

  async putMany(blobs: readonly Blob[]): Promise<void> {
    for (const { digest, bytes } of blobs) requireBlob(digest, bytes);
    const distinct = [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
    for (let start = 0; start < distinct.length; start += PARALLEL_WRITES) {
      await this.translated(() => this.putGroup(distinct.slice(start, start + PARALLEL_WRITES)));
    }
  }

  async has(digest: string): Promise<boolean> {
    return (await this.statusOf(requireDigest(digest))) !== undefined;
  }

  async read(digest: string): Promise<Uint8Array | undefined> {
    const bytes = await this.bytesOf(requireDigest(digest));
    if (bytes !== undefined && digestOf(bytes) !== digest) throw blobCorrupt(digest, 'is damaged');
    return bytes;
  }

  async remove(digest: string, options: { readonly storedBeforeMs?: number } = {}): Promise<boolean> {
    const path = this.files.pathOf(requireDigest(digest));
    const before = options.storedBeforeMs ?? Number.POSITIVE_INFINITY;
    const removed = await this.translated(async () =>
      this.database.transaction(() => {
        const status = statSync(path, { throwIfNoEntry: false });
        if (status === undefined || status.mtimeMs >= before) return false;
        unlinkSync(path);
        return true;
      }),
    );
    // Unsynced: a removal that the power takes back is done again by the next sweep.
    return removed;
  }

  async *list(): AsyncIterable<StoredBlob> {
    for await (const digest of this.files.digests()) {
      const status = await this.statusOf(digest);
      if (status !== undefined) yield { digest, ...status };
    }
  }

  async usage(): Promise<BlobUsage> {
    let [blobs, sizeBytes] = [0, 0];
    for await (const blob of this.list()) {
      blobs += 1;
      sizeBytes += blob.sizeBytes;
    }
    return { blobs, sizeBytes };
  }

  private async putGroup(blobs: readonly Blob[]): Promise<void> {
    for (let remaining = blobs; remaining.length > 0; ) {
      const arrivals = await Promise.all(remaining.map((blob) => this.prepare(blob)));
      const placed = this.database.transaction(() => arrivals.filter((arrival) => this.place(arrival)));
      await this.sync(placed);
      const settled = new Set(placed.map(({ digest }) => digest));
      // Others got in between: somebody put the same blob, or removed the one that was there.
      remaining = remaining.filter(({ digest }) => !settled.has(digest));
    }
  }

  private async prepare({ digest, bytes }: Blob): Promise<Arrival> {
    const stored = await this.bytesOf(digest);
    const found = stored === undefined ? 'missing' : digestOf(stored) === digest ? 'intact' : 'damaged';
    if (found === 'intact') return { digest, found, incoming: undefined };
    const incoming = this.files.newIncomingPath(digest);
    try {
      const file = await open(incoming, 'wx', 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      await rm(incoming, { force: true });
      throw error;
    }
    return { digest, found, incoming };
  }

  /** Under the lock. False where what was found is not there any more. */
  private place({ digest, found, incoming }: Arrival): boolean {
    const path = this.files.pathOf(digest);
    try {
      if (incoming === undefined) {
        const now = new Date();
        utimesSync(path, now, now);
        return true;
      }
      if (found === 'damaged') unlinkSync(path);
      linkSync(incoming, path);
      return true;
    } catch (error) {
      if (errorCode(error) !== 'EEXIST' && errorCode(error) !== 'ENOENT') throw error;
      return false;
    } finally {
      if (incoming !== undefined) removeQuietly(incoming);
    }
  }

  private async sync(placed: readonly Arrival[]): Promise<void> {
    // Also where the blob was there: whoever put it may not have come to this point.
    const folders = new Set(placed.map(({ digest }) => this.files.folderOf(digest)));
    await Promise.all([
      ...[...folders].map(syncDirectory),
      ...placed.filter(({ incoming }) => incoming === undefined).map(({ digest }) => this.syncTime(digest)),
    ]);
  }

  private async syncTime(digest: string): Promise<void> {
    // Where it is gone, somebody removed it on purpose, after the put.
    const file = await this.ifPresent(() => open(this.files.pathOf(digest), 'r'));
    try {
      await file?.sync();
    } finally {
      await file?.close();
    }
  }

  private async bytesOf(digest: string): Promise<Uint8Array | undefined> {
    const bytes = await this.ifPresent(() => readFile(this.files.pathOf(digest)));
    return bytes === undefined ? undefined : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  private async statusOf(digest: string): Promise<Omit<StoredBlob, 'digest'> | undefined> {
    const status = await this.ifPresent(() => stat(this.files.pathOf(digest)));
    return status && { sizeBytes: status.size, storedAtMs: status.mtimeMs };
  }

  private async ifPresent<T>(action: () => Promise<T>): Promise<T | undefined> {
    return this.translated(async () => {
      try {
        return await action();
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return undefined;
        throw error;
      }
    });
  }

  private async translated<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (error instanceof TensorGuardError || errorCode(error) === undefined) throw error;
      throw new EnvironmentError(
        'storage.failed',
        "A blob could not be read or written; see the cause. Check the disk's free space and who may access the directory.",
        { cause: error },
      );
    }
  }
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Left over, and collected when the store is opened next.
  }
}
