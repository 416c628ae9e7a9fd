/** A server of the soak, in a process of its own that can be killed: the service, with rates that one address may reach. */
import { readFileSync } from 'node:fs';
import { Service } from '../../lib/server/service.js';
import type { StoreOptions } from '../../lib/store/open-store.js';
import { soakPolicy } from './fleet.js';

/** What the process is started with, as JSON in a file. */
export interface ServerConfig {
  readonly store: StoreOptions;
  readonly aggregator: string;
  readonly port: number;
  readonly sumLeaseMs: number;
  readonly observing?: boolean;
  readonly recordsDirectory?: string;
  /** Variables that are added to the process's own. */
  readonly environment?: Readonly<Record<string, string>>;
}

export type ServerMessage = { readonly type: 'listening'; readonly address: string };

/** Of one address, one caller, one connection: all robots are one here. */
const UNLIMITED = 10_000_000;

async function main(path: string): Promise<void> {
  const { sumLeaseMs, ...config } = JSON.parse(readFileSync(path, 'utf8')) as ServerConfig;
  // OpenTelemetry's packages read the process's.
  Object.assign(process.env, config.environment);
  const service = await Service.start({
    ...config,
    policy: soakPolicy(),
    host: '127.0.0.1',
    version: '0.0.0',
    log: { level: 'error' },
    limits: {
      requestsPerMinutePerAddress: UNLIMITED,
      requestsPerMinutePerActor: UNLIMITED,
      maxRequestsPerConnection: UNLIMITED,
    },
    rounds: { sumLeaseMs },
  });
  process.on('SIGTERM', () => {
    service.stop().finally(() => process.exit());
  });
  // No server outlives the soak, however that ends.
  process.on('disconnect', () => process.exit());
  process.send?.({ type: 'listening', address: service.address } satisfies ServerMessage);
}

await main(process.argv[2] as string);
