/** Where a server keeps what it keeps: options that its commands share. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { parse } from 'yaml';
import { EnvironmentError, FormatError } from '../errors.js';
import { jetStreamConfigSchema } from '../store/jetstream/config.js';
import type { StoreOptions } from '../store/open-store.js';

export interface ServerDataOptions {
  readonly data: string;
  readonly nats?: string;
}

export function addDataOptions(command: Command): Command {
  return command
    .option('--data <dir>', 'where the embedded store lies', './tensorguard-data')
    .option('--nats <file>', 'keep everything in NATS JetStream instead, as this file says (.json, .yaml)');
}

/** @throws EnvironmentError `server.config-unreadable`; FormatError `server.bad-config` */
export async function storeOptionsOf({ data, nats }: ServerDataOptions): Promise<StoreOptions> {
  if (nats === undefined) return { kind: 'embedded', directory: join(data, 'store') };
  const text = await readFile(nats, 'utf8').catch((cause: unknown) => {
    throw new EnvironmentError('server.config-unreadable', `${nats} cannot be read. Check the path.`, {
      cause,
    });
  });
  const parsed = jetStreamConfigSchema.safeParse(parse(text, { maxAliasCount: 0 }));
  if (!parsed.success) {
    throw new FormatError(
      'server.bad-config',
      `${nats} does not describe a NATS connection: ${parsed.error.message}`,
    );
  }
  return { kind: 'jetstream', ...parsed.data };
}
