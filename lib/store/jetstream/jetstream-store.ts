/** The store that any number of server processes on any number of machines share: NATS JetStream. */
import { setMaxListeners } from 'node:events';
import { ParameterError } from '../../errors.js';
import type { Store } from '../store.js';
import { JetStreamBlobs } from './blobs.js';
import { type JetStreamConfig, type JetStreamOptions, jetStreamConfigSchema } from './config.js';
import { JetStreamConnection } from './connection.js';
import { loadNatsPackages } from './packages.js';
import { JetStreamQueue } from './queue.js';
import { JetStreamState } from './state.js';
import { prepareStreams, type StreamNames, streamNames } from './streams.js';

const HOUR_MS = 3_600_000;

/**
 * Connects, and makes what streams are missing.
 *
 * A server acknowledges what it has handed to its operating system, and syncs its files every two minutes unless
 * configured otherwise (`sync_interval: always`, nats-server 2.10 and later). That survives neither the power nor, in
 * nats-server 2.9.10 and with replicas as well, always the death of the process: now and then blobs that were acknowledged
 * are gone after it (docs/soak.md). What reads the store takes a missing blob for one update's loss, and goes on.
 *
 * @throws ParameterError `store.bad-config`
 * @throws EnvironmentError `store.nats-packages`, `store.unavailable`, `store.failed`, `store.credentials`,
 *   `store.wrong-stream`, `store.message-limit`, `storage.permissions`, `storage.symlink`
 */
export async function openJetStreamStore(options: JetStreamOptions): Promise<Store> {
  const config = parseConfig(options);
  const connection = await JetStreamConnection.open(config, await loadNatsPackages());
  const names = streamNames(config.prefix);
  try {
    await prepareStreams(connection, names);
  } catch (error) {
    await connection.close();
    throw error;
  }
  return new JetStreamStore(connection, names);
}

class JetStreamStore implements Store {
  readonly kind = 'jetstream';
  readonly state: JetStreamState;
  readonly blobs: JetStreamBlobs;
  readonly queue: JetStreamQueue;
  private readonly closing = new AbortController();

  constructor(
    private readonly connection: JetStreamConnection,
    names: StreamNames,
  ) {
    // One for each watch and wait.
    setMaxListeners(0, this.closing.signal);
    this.state = new JetStreamState(connection, names, this.closing.signal);
    this.blobs = new JetStreamBlobs(connection, names, this.closing.signal);
    this.queue = new JetStreamQueue(connection, names, this.closing.signal);
  }

  async collectLeftovers(options: { readonly olderThanMs?: number } = {}): Promise<void> {
    const beforeMs = Date.now() - (options.olderThanMs ?? HOUR_MS);
    await this.state.forgetRemoved(beforeMs);
    await this.blobs.collectParts(beforeMs);
  }

  async close(): Promise<void> {
    if (this.closing.signal.aborted) return;
    this.closing.abort();
    this.queue.releaseHeld();
    await this.connection.close();
  }
}

function parseConfig(options: JetStreamOptions): JetStreamConfig {
  const parsed = jetStreamConfigSchema.safeParse(options);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ParameterError(
    'store.bad-config',
    `The configuration of the store is wrong at ${issue?.path.join('.') || 'its top'}: ${issue?.message ?? ''}.`,
  );
}
