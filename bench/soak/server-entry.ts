/** A server of the soak, in a process of its own that can be killed: the service, with rates that one address may reach. */
import { readFileSync } from 'node:fs';
import { Service } from '../../lib/server/service.js';
import type { StoreOptions } from '../../lib/store/open-store.js';
import { soakPolicy } from './fleet.js';
import { SUM_LEASE_MS } from './options.js';

/** What the process is started with, as JSON in a file. */
export interface ServerConfig {
  readonly store: StoreOptions;
  readonly aggregator: string;
  readonly port: number;
}

export type ServerMessage = { readonly type: 'listening'; readonly address: string };

const FROM_ONE_ADDRESS = 10_000_000;

async function main(path: string): Promise<void> {
  const config = JSON.parse(readFileSync(path, 'utf8')) as ServerConfig;
  const service = await Service.start({
    ...config,
    policy: soakPolicy(),
    host: '127.0.0.1',
    version: '0.0.0',
    log: { level: 'error' },
    limits: { requestsPerMinutePerAddress: FROM_ONE_ADDRESS, requestsPerMinutePerActor: FROM_ONE_ADDRESS },
    rounds: { sumLeaseMs: SUM_LEASE_MS },
  });
  process.on('SIGTERM', () => {
    service.stop().finally(() => process.exit());
  });
  // No server outlives the soak, however that ends.
  process.on('disconnect', () => process.exit());
  process.send?.({ type: 'listening', address: service.address } satisfies ServerMessage);
}

await main(process.argv[2] as string);
