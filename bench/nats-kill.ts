/**
 * `npm run bench:nats-kill`: whether JetStream still has what it acknowledged after nats-server was killed, again and again.
 * Blobs and values are written through the store as the service does it; after each kill all of them are looked for.
 */
import { createHash, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { TensorGuardError, UsageError } from '../lib/errors.js';
import { openStore } from '../lib/store/open-store.js';
import type { Store } from '../lib/store/store.js';
import { describeMachine } from './machine.js';
import { hasNatsServer, NatsProcess, natsVersion } from './soak/nats-process.js';
import { renderTable } from './table.js';

const USAGE = `usage: npm run bench:nats-kill -- [--replicas 1|3] [--kills N]
  --replicas  servers of nats-server, each with all of it; one of them is killed at a time (1)
  --kills     how often (12)`;
const WRITERS = 16;
const BLOB_BYTES = 500_000;
const OPERATION_MS = 30_000;
/** Until a cluster has elected a leader again. */
const SETTLE_MS = { 1: 500, 3: 3_000 } as const;

/** As a shell reports a process that a signal ended. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

type Replicas = keyof typeof SETTLE_MS;

interface Options {
  readonly replicas: Replicas;
  readonly kills: number;
}

function parse(parameters: string[]): Options {
  try {
    const options = {
      replicas: { type: 'string', default: '1' },
      kills: { type: 'string', default: '12' },
    } as const;
    const { values } = parseArgs({ args: parameters, options });
    const [replicas, kills] = [Number(values.replicas), Number(values.kills)];
    if (replicas !== 1 && replicas !== 3) throw new Error('--replicas is 1 or 3');
    if (!Number.isInteger(kills) || kills < 1 || kills > 1000) throw new Error('--kills is 1 to 1000');
    return { replicas, kills };
  } catch (error) {
    throw new UsageError('bench.usage', `${error instanceof Error ? error.message : error}\n${USAGE}`);
  }
}

/** What was acknowledged so far: digests, and the revision of each key. */
class Acknowledged {
  readonly blobs = new Set<string>();
  readonly revisions = new Map<string, number>();

  async write(store: Store, writer: number): Promise<void> {
    const bytes = new Uint8Array(randomBytes(BLOB_BYTES));
    const digest = createHash('sha256').update(bytes).digest('hex');
    await store.blobs.put(digest, bytes);
    this.blobs.add(digest);
    const key = `writer.${writer}`;
    const current = await store.state.get(key);
    const value = bytes.subarray(0, 1000);
    const revision =
      current === undefined
        ? await store.state.create(key, value)
        : await store.state.update(key, value, current.revision);
    if (revision !== undefined) this.revisions.set(key, revision);
  }

  /** So that the disk does not fill. @returns how many there were */
  async forgetBlobs(store: Store): Promise<number> {
    const { size } = this.blobs;
    for (const digest of this.blobs) await store.blobs.remove(digest);
    this.blobs.clear();
    return size;
  }

  /** Takes out what is lost, and counts it. */
  async lost(store: Store): Promise<{ blobs: number; values: number }> {
    const lost = { blobs: 0, values: 0 };
    for (const digest of this.blobs) {
      if (await store.blobs.has(digest)) continue;
      this.blobs.delete(digest);
      lost.blobs += 1;
    }
    for (const [key, revision] of this.revisions) {
      const current = await store.state.get(key);
      if (current !== undefined && current.revision >= revision) continue;
      this.revisions.delete(key);
      lost.values += 1;
    }
    return lost;
  }
}

async function run({ replicas, kills }: Options, directory: string): Promise<void> {
  const directories = Array.from({ length: replicas }, (_, i) => join(directory, `nats-${i}`));
  for (const each of directories) await mkdir(each);
  const servers =
    replicas === 1
      ? [await NatsProcess.start(directories[0] as string)]
      : await NatsProcess.startCluster(directories);
  const addresses = servers.map(({ address }) => address);
  const config = { servers: addresses, prefix: 'kill', replicas, operationTimeoutMs: OPERATION_MS };
  const store = await openStore({ kind: 'jetstream', ...config });
  const acknowledged = new Acknowledged();
  const total = { kills: 0, blobs: 0, values: 0, kept: 0, failures: 0 };
  try {
    for (let kill = 0; kill < kills; kill += 1) {
      let stopped = false;
      const writers = Array.from({ length: WRITERS }, async (_, writer) => {
        while (!stopped) {
          await acknowledged.write(store, writer).catch((error: unknown) => {
            if (!(error instanceof TensorGuardError)) throw error;
            total.failures += 1;
          });
        }
      });
      const victim = servers[kill % servers.length] as NatsProcess;
      await sleep(500 + Math.random() * 700);
      await victim.kill();
      await victim.start();
      await sleep(SETTLE_MS[replicas]);
      stopped = true;
      await Promise.all(writers);
      const { blobs, values } = await acknowledged.lost(store);
      if (blobs + values > 0) total.kills += 1;
      total.kept += await acknowledged.forgetBlobs(store);
      total.blobs += blobs;
      total.values += values;
    }
  } finally {
    await store.close();
    await Promise.all(servers.map((server) => server.kill()));
  }
  const rows = [
    ['kills', String(kills)],
    ['kills after which something was lost', String(total.kills)],
    ['blobs lost that were acknowledged', String(total.blobs)],
    ['values lost, or older than acknowledged', String(total.values)],
    ['blobs acknowledged and there', String(total.kept)],
    ['writes that failed with an error', String(total.failures)],
  ];
  const { cpuModel, cores, nodeVersion } = describeMachine();
  console.log(`${cpuModel}, ${cores} threads, Node ${nodeVersion}; ${natsVersion()}, ${replicas} of it\n`);
  console.log(renderTable(['', 'count'], rows));
}

async function main(): Promise<void> {
  const options = parse(process.argv.slice(2));
  if (!hasNatsServer()) {
    console.log('skipped: nats-server is not on the PATH (Debian: apt-get install nats-server)');
    return;
  }
  const directory = await mkdtemp(join(tmpdir(), 'tensorguard-nats-kill-'));
  // Ending by a signal runs no `exit` listeners, which are what kills the servers: orphans would go on filling the disk.
  const interrupted = (signal: NodeJS.Signals): void => {
    process.once('exit', () => rmSync(directory, { recursive: true, force: true, maxRetries: 10 }));
    process.exit(EXIT_CODES[signal as keyof typeof EXIT_CODES]);
  };
  for (const signal of SIGNALS) process.once(signal, interrupted);
  try {
    await run(options, directory);
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupted);
    await rm(directory, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof TensorGuardError ? `${error.code}: ${error.message}` : error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
});
