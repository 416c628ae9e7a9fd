/**
 * Blobs in a JetStream stream: parts of 512 KiB, then a manifest that makes them a blob.
 *
 * Every put sends parts of its own, under its own name, and then the manifest that refers to them, over whichever was
 * there. So nothing depends on what others do meanwhile: a removal names the sequence of the manifest that it has seen,
 * and takes only the parts of that one.
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { blobCorrupt, digestOf, MAX_BLOB_BYTES, requireBlob, requireDigest } from '../limits.js';
import type { Blob, BlobStore, BlobUsage, StoredBlob } from '../store.js';
import { apiErrorCode, type JetStreamConnection } from './connection.js';
import { lastMessages } from './last-messages.js';
import { lastMessage, onlyMessage, writeMessage } from './messages.js';
import { PART_BYTES, type StreamNames } from './streams.js';

const PARALLEL_PUTS = 4;
/** What servers answer to the deletion of a message that is gone. */
const MESSAGE_GONE = new Set([10037, 10043, 10057]);

const manifestSchema = z.strictObject({
  version: z.literal(1),
  sizeBytes: z.int().min(0).max(MAX_BLOB_BYTES),
  /** Names the parts. */
  upload: z.string().regex(/^[0-9a-f]{32}$/),
});
type Manifest = z.infer<typeof manifestSchema>;

interface StoredManifest extends Manifest {
  readonly sequence: number;
  readonly storedAtMs: number;
}

export class JetStreamBlobs implements BlobStore {
  constructor(
    private readonly connection: JetStreamConnection,
    private readonly names: StreamNames,
    private readonly closed: AbortSignal,
  ) {}

  async put(digest: string, bytes: Uint8Array): Promise<void> {
    requireBlob(digest, bytes);
    const replaced = await this.manifestOf(digest);
    const upload = randomBytes(16).toString('hex');
    await this.writeParts(digest, upload, bytes);
    await this.writeManifest(digest, { version: 1, sizeBytes: bytes.length, upload });
    if (replaced !== undefined) await this.purgeParts(digest, replaced.upload);
  }

  async putMany(blobs: readonly Blob[]): Promise<void> {
    for (const { digest, bytes } of blobs) requireBlob(digest, bytes);
    for (let start = 0; start < blobs.length; start += PARALLEL_PUTS) {
      const group = blobs.slice(start, start + PARALLEL_PUTS);
      await Promise.all(group.map(({ digest, bytes }) => this.put(digest, bytes)));
    }
  }

  async has(digest: string): Promise<boolean> {
    return (await this.manifestOf(requireDigest(digest))) !== undefined;
  }

  async read(digest: string): Promise<Uint8Array | undefined> {
    requireDigest(digest);
    for (let manifest = await this.manifestOf(digest); manifest !== undefined; ) {
      const bytes = await this.bytesOf(digest, manifest);
      if (bytes !== undefined) return bytes;
      const current = await this.manifestOf(digest);
      if (current?.upload === manifest.upload) throw blobCorrupt(digest, 'is damaged');
      manifest = current;
    }
    return undefined;
  }

  async remove(digest: string, options: { readonly storedBeforeMs?: number } = {}): Promise<boolean> {
    const manifest = await this.manifestOf(requireDigest(digest));
    if (
      manifest === undefined ||
      manifest.storedAtMs >= (options.storedBeforeMs ?? Number.POSITIVE_INFINITY)
    ) {
      return false;
    }
    if (!(await this.deleteManifest(digest, manifest.sequence))) return false;
    await this.purgeParts(digest, manifest.upload);
    return true;
  }

  async *list(): AsyncIterable<StoredBlob> {
    const messages = lastMessages(this.connection, {
      stream: this.names.blobs,
      filter: `${this.names.manifestSubjects}.*`,
      ends: [this.closed],
    });
    for await (const { subject, data, storedAtMs } of messages) {
      const digest = subject.slice(this.names.manifestSubjects.length + 1);
      const { sizeBytes } = parseManifest(digest, data);
      yield { digest, sizeBytes, storedAtMs };
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

  /** Removes parts that were sent before `beforeMs` and that no manifest names: their uploads were cut. */
  async collectParts(beforeMs: number): Promise<void> {
    const messages = lastMessages(this.connection, {
      stream: this.names.blobs,
      filter: `${this.names.partSubjects}.*.*.*`,
      headersOnly: true,
      ends: [this.closed],
    });
    for await (const { subject, storedAtMs } of messages) {
      if (storedAtMs >= beforeMs) continue;
      const [digest = '', upload = ''] = subject.slice(this.names.partSubjects.length + 1).split('.');
      if ((await this.manifestOf(digest))?.upload !== upload) await this.purgeParts(digest, upload);
    }
  }

  private async writeParts(digest: string, upload: string, bytes: Uint8Array): Promise<void> {
    const parts = Array.from({ length: partsOf(bytes.length) }, (_, index) =>
      writeMessage(
        this.connection,
        'store a part of a blob',
        { stream: this.names.blobs, subject: this.partSubject(digest, upload, index) },
        bytes.subarray(index * PART_BYTES, (index + 1) * PART_BYTES),
      ),
    );
    await Promise.all(parts);
  }

  private async writeManifest(digest: string, manifest: Manifest): Promise<void> {
    const location = { stream: this.names.blobs, subject: this.manifestSubject(digest) };
    const data = new TextEncoder().encode(JSON.stringify(manifest));
    await writeMessage(this.connection, 'store a blob', location, data);
  }

  private manifestOf(digest: string): Promise<StoredManifest | undefined> {
    return this.connection.persist('look for a blob', async () => {
      const message = await lastMessage(this.connection, this.names.blobs, this.manifestSubject(digest));
      if (message === undefined) return undefined;
      const storedAtMs = message.time.getTime();
      return { ...parseManifest(digest, message.data), sequence: message.seq, storedAtMs };
    });
  }

  /** The blob; undefined where its parts are missing or are not what its digest names. */
  private async bytesOf(digest: string, manifest: Manifest): Promise<Uint8Array | undefined> {
    const parts = await Promise.all(
      Array.from({ length: partsOf(manifest.sizeBytes) }, (_, index) =>
        this.connection.persist('read a part of a blob', () =>
          onlyMessage(this.connection, this.names.blobs, this.partSubject(digest, manifest.upload, index)),
        ),
      ),
    );
    const present = parts.filter((part) => part !== undefined);
    const bytes = new Uint8Array(Buffer.concat(present));
    return present.length === parts.length && digestOf(bytes) === digest ? bytes : undefined;
  }

  private deleteManifest(digest: string, sequence: number): Promise<boolean> {
    return this.connection.persist('remove a blob', async () => {
      try {
        return await this.connection.manager.streams.deleteMessage(this.names.blobs, sequence, false);
      } catch (error) {
        if (!MESSAGE_GONE.has(apiErrorCode(error) ?? 0)) throw error;
      }
      // It is gone: by an attempt of ours whose reply was lost, by somebody else, or it was put again.
      const subject = this.manifestSubject(digest);
      return (await lastMessage(this.connection, this.names.blobs, subject)) === undefined;
    });
  }

  private async purgeParts(digest: string, upload: string): Promise<void> {
    const filter = `${this.names.partSubjects}.${digest}.${upload}.*`;
    await this.connection.persist('remove the parts of a blob', () =>
      this.connection.manager.streams.purge(this.names.blobs, { filter }),
    );
  }

  private manifestSubject(digest: string): string {
    return `${this.names.manifestSubjects}.${digest}`;
  }

  private partSubject(digest: string, upload: string, index: number): string {
    return `${this.names.partSubjects}.${digest}.${upload}.${index}`;
  }
}

function partsOf(sizeBytes: number): number {
  return Math.ceil(sizeBytes / PART_BYTES);
}

function parseManifest(digest: string, data: Uint8Array): Manifest {
  try {
    return manifestSchema.parse(JSON.parse(new TextDecoder().decode(data)));
  } catch {
    throw blobCorrupt(digest, 'has a manifest that is not one');
  }
}
