/**
 * Reading a stream in order, through outages: a consumer that is gone, or that skipped a message, is made again behind
 * the last message that was read.
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
  /** The sequence of the first message to read; from the beginning without. */
  readonly fromSequence?: number;
  readonly headersOnly?: boolean;
  /** Go on waiting at the end of the stream. */
  readonly follow: boolean;
  /** Ends the reading; asked for between messages. */
  readonly ends: Ends;
}

/**
 * The messages that match, each once, in the stream's order.
 *
 * @throws EnvironmentError `store.failed`; `store.unavailable` unless it follows, which waits out every outage
 */
export async function* readStream(
  connection: JetStreamConnection,
  reading: Reading,
): AsyncIterable<Delivery> {
  let next = reading.fromSequence ?? 1;
  while (!hasEnded(reading.ends)) {
    const opened = await openConsumer(connection, reading, next);
    if (opened === undefined) continue;
    try {
      if (opened.pending === 0 && !reading.follow) return;
      for await (const delivery of deliveries(connection, opened, reading.ends)) {
        next = delivery.sequence + 1;
        yield delivery;
        if (hasEnded(reading.ends)) return;
        if (delivery.pending === 0 && !reading.follow) return;
      }
    } finally {
      // One that cannot be removed now goes by itself after a minute.
      void connection.manager.consumers.delete(opened.stream, opened.consumer).catch(() => undefined);
    }
  }
}

interface OpenConsumer extends ConsumerName {
  readonly pending: number;
}

/** Undefined after an error that a reading which follows waits out. */
async function openConsumer(
  connection: JetStreamConnection,
  reading: Reading,
  fromSequence: number,
): Promise<OpenConsumer | undefined> {
  const open = async (): Promise<OpenConsumer> => {
    const info = await connection.manager.consumers.add(reading.stream, {
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
    return { stream: reading.stream, consumer: info.name, pending: info.num_pending };
  };
  const what = `read the stream ${reading.stream}`;
  if (!reading.follow) return connection.persist(what, open);
  try {
    return await open();
  } catch (error) {
    // Closing the connection ends what was under way with an error.
    if (!isTransient(error) && !hasEnded(reading.ends)) throw failed(what, error);
    await pause(RETRY_PAUSE_MS, reading.ends);
    return undefined;
  }
}

/** What the consumer delivers without a gap, until the reading ends or the consumer is lost. */
async function* deliveries(
  connection: JetStreamConnection,
  consumer: ConsumerName,
  ends: Ends,
): AsyncIterable<Delivery> {
  let delivered = 0;
  while (!hasEnded(ends)) {
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
  }
}
