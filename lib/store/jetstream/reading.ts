/**
 * Reading a stream in order: a consumer, and the messages that it brings without a gap.
 */
import { type Ends, hasEnded, pause } from '../lifetime.js';
import { failed, isTransient, type JetStreamConnection } from './connection.js';
import { ConsumerLostError, type ConsumerName, type Delivery, pullMany } from './deliveries.js';

const MESSAGES_PER_PULL = 128;
const CONSUMER_LIFE_NS = 60 * 1_000_000_000;
const RETRY_PAUSE_MS = 200;

export interface Reading {
  readonly stream: string;
  readonly filter: string;
  readonly headersOnly?: boolean;
  /** Ends the reading; asked for between messages. */
  readonly ends: Ends;
}

/**
 * The messages that match, each once, in the stream's order, and those to come, through outages: a consumer that is gone, or
 * that skipped a message, is made again behind the last message that was read.
 *
 * @param fromSequence the first to read
 * @throws EnvironmentError `store.failed`
 */
export async function* followStream(
  connection: JetStreamConnection,
  reading: Reading,
  fromSequence: number,
): AsyncIterable<Delivery> {
  let next = fromSequence;
  while (!hasEnded(reading.ends)) {
    const consumer = await persistentConsumer(connection, reading, next);
    if (consumer === undefined) continue;
    try {
      for await (const delivery of deliveries(connection, consumer, reading.ends)) {
        next = delivery.sequence + 1;
        yield delivery;
        if (hasEnded(reading.ends)) return;
      }
    } finally {
      removeConsumer(connection, consumer);
    }
  }
}

/**
 * The messages that match up to `lastSequence`, as far as one consumer brings them: where it is lost, brings nothing for a
 * second, or counts no more, this ends. Whoever needs all of them looks for the rest.
 *
 * @throws EnvironmentError `store.failed`, `store.unavailable`
 */
export async function* readOnce(
  connection: JetStreamConnection,
  reading: Reading,
  lastSequence: number,
): AsyncIterable<Delivery> {
  const consumer = await connection.persist(reads(reading), () => addConsumer(connection, reading, 1));
  try {
    for await (const delivery of deliveries(connection, consumer, reading.ends, 'end-when-quiet')) {
      if (delivery.sequence > lastSequence) return;
      yield delivery;
      // Only a hint where messages are replaced meanwhile; it spares the second of silence.
      if (delivery.pending === 0 || hasEnded(reading.ends)) return;
    }
  } finally {
    removeConsumer(connection, consumer);
  }
}

async function addConsumer(
  connection: JetStreamConnection,
  reading: Reading,
  fromSequence: number,
): Promise<ConsumerName> {
  const { name } = await connection.manager.consumers.add(reading.stream, {
    name: connection.packages.transport.nuid.next(),
    ack_policy: 'none',
    deliver_policy: 'by_start_sequence',
    opt_start_seq: fromSequence,
    filter_subject: reading.filter,
    headers_only: reading.headersOnly ?? false,
    inactive_threshold: CONSUMER_LIFE_NS,
    mem_storage: true,
    num_replicas: 1,
  });
  return { stream: reading.stream, consumer: name };
}

/** Undefined after an error that is waited out. */
async function persistentConsumer(
  connection: JetStreamConnection,
  reading: Reading,
  fromSequence: number,
): Promise<ConsumerName | undefined> {
  try {
    return await addConsumer(connection, reading, fromSequence);
  } catch (error) {
    // Closing the connection ends what was under way with an error.
    if (!isTransient(error) && !hasEnded(reading.ends)) throw failed(reads(reading), error);
    await pause(RETRY_PAUSE_MS, reading.ends);
    return undefined;
  }
}

/** One that cannot be removed now goes by itself after a minute. */
function removeConsumer(connection: JetStreamConnection, { stream, consumer }: ConsumerName): void {
  void connection.manager.consumers.delete(stream, consumer).catch(() => undefined);
}

function reads({ stream }: Reading): string {
  return `read the stream ${stream}`;
}

/** What the consumer delivers without a gap, until the reading ends or the consumer is lost. */
async function* deliveries(
  connection: JetStreamConnection,
  consumer: ConsumerName,
  ends: Ends,
  quiet: 'go-on-when-quiet' | 'end-when-quiet' = 'go-on-when-quiet',
): AsyncIterable<Delivery> {
  let delivered = 0;
  while (!hasEnded(ends)) {
    const before = delivered;
    try {
      for await (const delivery of pullMany(connection, consumer, MESSAGES_PER_PULL, ends)) {
        if (delivery.consumerSequence !== delivered + 1) return;
        delivered = delivery.consumerSequence;
        yield delivery;
      }
    } catch (error) {
      if (error instanceof ConsumerLostError || hasEnded(ends)) return;
      throw error;
    }
    if (quiet === 'end-when-quiet' && delivered === before) return;
  }
}
