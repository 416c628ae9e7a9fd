/** All servers of a soak, whichever store they share; and what kills them. */
import { mkdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { EnvironmentError } from '../../lib/errors.js';
import type { StoreOptions } from '../../lib/store/open-store.js';
import type { SoakFleet } from './fleet.js';
import { NatsProcess } from './nats-process.js';
import type { SoakOptions } from './options.js';
import { ServerProcess } from './server-process.js';

export interface Kill {
  readonly what: 'server' | 'nats-server';
  readonly when: 'receiving' | 'summing' | 'closed';
  /** From the kill to a server in the same place that is ready. */
  readonly readyAfterMs: number;
  /** performance.now() of the kill, and of the process's end. */
  readonly at: number;
  readonly deadAt: number;
}

const READY_TIMEOUT_MS = 30_000;

export class Servers {
  readonly kills: Kill[] = [];

  private constructor(
    readonly processes: readonly ServerProcess[],
    readonly store: StoreOptions,
    readonly nats: NatsProcess | undefined,
  ) {}

  static async start(fleet: SoakFleet, options: SoakOptions): Promise<Servers> {
    await mkdir(fleet.at('nats'), { recursive: true });
    const nats = options.store === 'jetstream' ? await NatsProcess.start(fleet.at('nats')) : undefined;
    const store: StoreOptions =
      nats === undefined
        ? { kind: 'embedded', directory: fleet.at('store') }
        : { kind: 'jetstream', servers: [nats.address], prefix: 'soak' };
    const processes: ServerProcess[] = [];
    try {
      for (let i = 0; i < options.servers; i += 1) {
        const aggregator = await fleet.aggregatorFor(i);
        const config = { store, aggregator, sumLeaseMs: options.sumLeaseMs };
        processes.push(await ServerProcess.create(fleet.at(`server-${i}.json`), config));
      }
    } catch (error) {
      for (const process of processes) await process.kill();
      await nats?.kill();
      throw error;
    }
    return new Servers(processes, store, nats);
  }

  get addresses(): readonly string[] {
    return this.processes.map(({ address }) => address);
  }

  get peakBytes(): number {
    return Math.max(...this.processes.map(({ peakBytes }) => peakBytes));
  }

  /** Kills a server, and starts it again at once, as a service manager does. */
  async kill(index: number, when: Kill['when']): Promise<void> {
    const server = this.processes[index % this.processes.length] as ServerProcess;
    const at = performance.now();
    await server.kill();
    const deadAt = performance.now();
    await server.start();
    await ready(server.address);
    this.kills.push({ what: 'server', when, at, deadAt, readyAfterMs: performance.now() - at });
  }

  async killNats(when: Kill['when']): Promise<void> {
    const at = performance.now();
    await this.nats?.kill();
    const deadAt = performance.now();
    await this.nats?.start();
    this.kills.push({ what: 'nats-server', when, at, deadAt, readyAfterMs: performance.now() - at });
  }

  async stop(): Promise<void> {
    await Promise.all(this.processes.map((server) => server.stop()));
    await this.nats?.kill();
  }
}

async function ready(address: string): Promise<void> {
  for (const end = Date.now() + READY_TIMEOUT_MS; Date.now() < end; await sleep(10)) {
    const response = await fetch(`${address}/readyz`).catch(() => undefined);
    if (response?.ok) return;
  }
  throw new EnvironmentError('soak.not-ready', `${address} was not ready within ${READY_TIMEOUT_MS} ms.`);
}
