/** The streams of a store: what they are called, how they are set up, and that they are still set up so. */
import { setTimeout as delay } from 'node:timers/promises';
import type { StreamConfig } from '@nats-io/jetstream';
import { EnvironmentError } from '../../errors.js';
import { MAX_VALUE_BYTES } from '../limits.js';
import { apiErrorCode, type JetStreamConnection } from './connection.js';

/** Parts of a blob. With its headers one stays below the 1 MiB that servers take by default. */
export const PART_BYTES = 512 * 1024;
const HEADER_BYTES = 16 * 1024;
/** Base64 makes 4 of 3, within a JSON text. */
const MIN_PAYLOAD_BYTES = Math.ceil(MAX_VALUE_BYTES / 3) * 4 + HEADER_BYTES;
/** The name is in use, the subjects overlap. */
const TAKEN = new Set([10058, 10065]);
const CREATION_MS = 200;
const STREAM_NOT_FOUND = 10059;

export interface StreamNames {
  readonly state: string;
  readonly blobs: string;
  readonly work: string;
  /** What the subjects of each start with. */
  readonly stateSubjects: string;
  readonly manifestSubjects: string;
  readonly partSubjects: string;
  readonly workSubjects: string;
}

export function streamNames(prefix: string): StreamNames {
  return {
    // As a key-value bucket is laid out, so that `nats kv` shows it.
    state: `KV_${prefix}`,
    blobs: `${prefix}-blobs`,
    work: `${prefix}-work`,
    stateSubjects: `$KV.${prefix}`,
    manifestSubjects: `${prefix}.blobs.manifest`,
    partSubjects: `${prefix}.blobs.part`,
    workSubjects: `${prefix}.work`,
  };
}

/**
 * Makes the streams that are missing, and raises the number of replicas to what is configured: with the other servers
 * stopped, which write as for the replicas that they know of.
 *
 * @throws EnvironmentError `store.unavailable`, `store.failed`, `store.wrong-stream`, `store.message-limit`
 */
export async function prepareStreams(connection: JetStreamConnection, names: StreamNames): Promise<void> {
  requireMessageLimit(connection);
  for (const wanted of streamConfigs(names, connection.config.replicas)) {
    await connection.persist(`set up the stream ${wanted.name}`, async () => {
      const found = (await existing(connection, wanted.name)) ?? (await added(connection, wanted));
      requireSetUp(found, wanted);
      if (found.num_replicas < wanted.num_replicas) {
        await connection.manager.streams.update(wanted.name, { num_replicas: wanted.num_replicas });
      }
    });
  }
}

type Wanted = Partial<StreamConfig> & Pick<StreamConfig, 'name' | 'subjects' | 'num_replicas'>;

function streamConfigs(names: StreamNames, replicas: number): Wanted[] {
  const common = {
    num_replicas: replicas,
    storage: 'file',
    max_msgs_per_subject: 1,
    // A server that is full refuses what is new instead of dropping what it acknowledged.
    discard: 'new',
    allow_rollup_hdrs: false,
  } as const;
  return [
    {
      ...common,
      name: names.state,
      subjects: [`${names.stateSubjects}.>`],
      retention: 'limits',
      max_msg_size: MAX_VALUE_BYTES + HEADER_BYTES,
      allow_rollup_hdrs: true,
      deny_delete: true,
      // Reads go to the leader: a replica may be behind what was acknowledged.
      allow_direct: false,
    },
    {
      ...common,
      name: names.blobs,
      subjects: [`${names.manifestSubjects}.*`, `${names.partSubjects}.*.*.*`],
      retention: 'limits',
      max_msg_size: PART_BYTES + HEADER_BYTES,
      allow_direct: true,
    },
    {
      ...common,
      name: names.work,
      subjects: [`${names.workSubjects}.>`],
      retention: 'workqueue',
      max_msg_size: MAX_VALUE_BYTES + HEADER_BYTES,
      // What makes an id unique while its task exists.
      discard_new_per_subject: true,
    },
  ];
}

async function existing(connection: JetStreamConnection, name: string): Promise<StreamConfig | undefined> {
  try {
    return (await connection.manager.streams.info(name)).config;
  } catch (error) {
    if (error instanceof Error && error.name === 'StreamNotFoundError') return undefined;
    if (apiErrorCode(error) === STREAM_NOT_FOUND) return undefined;
    throw error;
  }
}

async function added(connection: JetStreamConnection, wanted: Wanted): Promise<StreamConfig> {
  try {
    return (await connection.manager.streams.add(wanted)).config;
  } catch (error) {
    if (!TAKEN.has(apiErrorCode(error) ?? 0)) throw error;
  }
  // Another process makes it at this moment, and its subjects are taken before it is there.
  await delay(CREATION_MS);
  const found = await existing(connection, wanted.name);
  if (found === undefined) throw wrongStream(wanted.name, 'another stream has its subjects');
  return found;
}

/** A stream of this name that keeps less than ours would lose what it acknowledges. */
function requireSetUp(found: StreamConfig, wanted: Wanted): void {
  const differing = (
    ['retention', 'storage', 'discard', 'max_msgs_per_subject', 'discard_new_per_subject'] as const
  ).filter((name) => (found[name] ?? false) !== (wanted[name] ?? false));
  const limited = [found.max_age, found.max_msgs, found.max_bytes].some((limit) => limit > 0);
  if (differing.length > 0 || limited || found.subjects.join() !== wanted.subjects.join()) {
    const what = limited ? 'it has limits of age, messages or bytes' : 'its subjects differ';
    throw wrongStream(wanted.name, differing.length > 0 ? `${differing.join(', ')} differ` : what);
  }
  // Fewer would drop copies that others count on, and write as if there were none (messages.ts).
  if (found.num_replicas > wanted.num_replicas) {
    throw wrongStream(wanted.name, `it has ${found.num_replicas} replicas; configure as many`);
  }
}

function wrongStream(name: string, detail: string): EnvironmentError {
  return new EnvironmentError(
    'store.wrong-stream',
    `The stream ${name} is not set up as this store needs it: ${detail}. ` +
      'Mend the configuration or the stream, or configure another prefix.',
  );
}

function requireMessageLimit({ connection }: JetStreamConnection): void {
  const limit = connection.info?.max_payload ?? 0;
  if (limit < MIN_PAYLOAD_BYTES) {
    throw new EnvironmentError(
      'store.message-limit',
      `The NATS server takes messages of ${limit} bytes at most. Set max_payload to 1MB, its default, or more.`,
    );
  }
}
