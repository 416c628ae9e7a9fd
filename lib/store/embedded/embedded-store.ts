/** The store that needs nothing but a directory: `store.sqlite`, `blobs/` and `incoming/`. */
import { setMaxListeners } from 'node:events';
import { join, resolve } from 'node:path';
import { DurableDatabase } from '../../durable/durable-database.js';
import { createPrivateDirectory } from '../../durable/private-files.js';
import { TensorGuardError } from '../../errors.js';
import type { Store } from '../store.js';
import { BlobFiles } from './blob-files.js';
import { EmbeddedBlobs } from './blobs.js';
import { EmbeddedQueue } from './queue.js';
import { EmbeddedState } from './state.js';
import { description } from './tables.js';

const DEFAULT_POLL_MS = 200;
const HOUR_MS = 3_600_000;

export interface EmbeddedOptions {
  /** How often waits look for what other processes changed. */
  readonly pollMs?: number | undefined;
}

/**
 * Opens the store in `directory`, which is made if it is missing. Several processes of one machine may have it open; a
 * network file system keeps neither SQLite's locks nor what was synced, so it must not lie on one.
 *
 * @throws VerificationError `store.corrupt`
 * @throws EnvironmentError `storage.missing` (there are blobs and no database), `storage.permissions`, `storage.symlink`, `storage.busy`, `storage.failed`
 */
export async function openEmbeddedStore(directory: string, options: EmbeddedOptions = {}): Promise<Store> {
  const root = resolve(directory);
  await createPrivateDirectory(root);
  const files = new BlobFiles(root);
  const database = await openOrCreate(join(root, 'store.sqlite'), files);
  try {
    await files.prepare();
    await files.collectIncoming(Date.now() - HOUR_MS);
  } catch (error) {
    database.close();
    throw error;
  }
  return new EmbeddedStore(files, database, options.pollMs ?? DEFAULT_POLL_MS);
}

class EmbeddedStore implements Store {
  readonly kind = 'embedded';
  readonly state: EmbeddedState;
  readonly blobs: EmbeddedBlobs;
  readonly queue: EmbeddedQueue;
  private readonly closing = new AbortController();

  constructor(
    private readonly files: BlobFiles,
    private readonly database: DurableDatabase,
    pollMs: number,
  ) {
    const settings = { pollMs, closed: this.closing.signal };
    // One for each watch and wait.
    setMaxListeners(0, this.closing.signal);
    this.state = new EmbeddedState(database, settings);
    this.blobs = new EmbeddedBlobs(files, database);
    this.queue = new EmbeddedQueue(database, settings);
  }

  async collectLeftovers(options: { readonly olderThanMs?: number } = {}): Promise<void> {
    const beforeMs = Date.now() - (options.olderThanMs ?? HOUR_MS);
    this.state.forgetRemoved(beforeMs);
    await this.files.collectIncoming(beforeMs);
  }

  async close(): Promise<void> {
    if (this.closing.signal.aborted) return;
    this.closing.abort();
    this.queue.releaseHeld();
    this.database.close();
  }
}

/** The database comes first, so that blobs without one mean that it was lost: an empty one would forget every round. */
async function openOrCreate(path: string, files: BlobFiles): Promise<DurableDatabase> {
  try {
    return await DurableDatabase.open(path, description);
  } catch (error) {
    if (!(error instanceof TensorGuardError) || error.code !== 'storage.missing') throw error;
    if (await files.exist()) throw error;
  }
  try {
    return await DurableDatabase.create(path, description);
  } catch (error) {
    // Another process was first.
    if (!(error instanceof TensorGuardError) || error.code !== 'storage.exists') throw error;
    return DurableDatabase.open(path, description);
  }
}
