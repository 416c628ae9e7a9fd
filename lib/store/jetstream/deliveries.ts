/**
 * Asking a consumer for messages.
 *
 * By the protocol and not by the client's `fetch`, which stops listening a moment before or after the server stops
 * sending: a message in between counts as delivered and reaches nobody. Here the server's own end of the request is what
 * ends it, and this side listens for a second longer.
 */
import type { Msg } from '@nats-io/transport-node';
import { type Ends, hasEnded } from '../lifetime.js';
import type { JetStreamConnection } from './connection.js';

const PULL_MS = 1_000;
/** How much longer than the server an answer may take. */
const SLACK_MS = 1_000;
const NANOSECONDS_PER_MS = 1_000_000;
/** How the server ends a request that has waited long enough. */
const REQUEST_OVER = new Set([404, 408]);

export interface ConsumerName {
  readonly stream: string;
  readonly consumer: string;
}

/** One delivery of a message, and what its acknowledgement subject says of it. */
export interface Delivery {
  readonly message: Msg;
  /** 1 for the first delivery of the message. */
  readonly attempt: number;
  /** The message's sequence in the stream. */
  readonly sequence: number;
  /** Counts the deliveries of the consumer. */
  readonly consumerSequence: number;
  readonly storedAtMs: number;
  /** How many more the consumer has. */
  readonly pending: number;
}

/** The consumer did not answer: it, its server or the connection is gone, and what it has sent may not have come. */
export class ConsumerLostError extends Error {
  override readonly name = 'ConsumerLostError';
}

/**
 * The messages of one request: as many as `batch`, or those that came until the server ended it, after a second, or one
 * of `ends` did.
 *
 * @throws ConsumerLostError
 */
export async function* pullMany(
  connection: JetStreamConnection,
  name: ConsumerName,
  batch: number,
  ends: Ends,
): AsyncIterable<Delivery> {
  const nats = connection.connection;
  const inbox = connection.packages.transport.createInbox();
  const subscription = nats.subscribe(inbox);
  const stop = (): void => subscription.unsubscribe();
  const stopListening = connection.onInterruption(stop);
  for (const signal of ends) signal.addEventListener('abort', stop);
  let timer = setTimeout(stop, PULL_MS + SLACK_MS);
  try {
    nats.publish(requestSubject(name), requestBody(batch), { reply: inbox });
    let received = 0;
    for await (const message of subscription) {
      if (isEndOfRequest(message)) return;
      // A slow reader is not a silent server.
      clearTimeout(timer);
      yield deliveryOf(message);
      received += 1;
      if (received === batch) return;
      timer = setTimeout(stop, PULL_MS + SLACK_MS);
    }
    if (!hasEnded(ends)) throw new ConsumerLostError();
  } finally {
    clearTimeout(timer);
    stopListening();
    for (const signal of ends) signal.removeEventListener('abort', stop);
    stop();
  }
}

/**
 * One message, or undefined if none comes within a second.
 *
 * @throws ConsumerLostError, or what the client throws where the server is away
 */
export async function pullOne(
  connection: JetStreamConnection,
  name: ConsumerName,
): Promise<Delivery | undefined> {
  const message = await connection.connection.request(requestSubject(name), requestBody(1), {
    timeout: PULL_MS + SLACK_MS,
    // A delivery carries the subject of its message, by which the shared inbox of requests would not know it.
    noMux: true,
  });
  return isEndOfRequest(message) ? undefined : deliveryOf(message);
}

function requestSubject({ stream, consumer }: ConsumerName): string {
  return `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
}

function requestBody(batch: number): string {
  return JSON.stringify({ batch, expires: PULL_MS * NANOSECONDS_PER_MS });
}

/** @throws ConsumerLostError for every status but the end */
function isEndOfRequest(message: Msg): boolean {
  const status = message.headers?.code ?? 0;
  if (status === 0) return false;
  if (REQUEST_OVER.has(status)) return true;
  throw new ConsumerLostError(message.headers?.description);
}

/**
 * From `$JS.ACK.<stream>.<consumer>.<attempt>.<sequence>.<consumer sequence>.<nanoseconds>.<pending>`, with two fields
 * more before the stream, and one at the end, where the account is in a domain (NATS ADR-15).
 */
function deliveryOf(message: Msg): Delivery {
  const tokens = (message.reply ?? '').split('.');
  const fields = tokens.length >= 11 ? tokens.slice(6) : tokens.slice(4);
  const [attempt, sequence, consumerSequence, nanoseconds, pending] = fields.map(Number);
  if (
    attempt === undefined ||
    sequence === undefined ||
    consumerSequence === undefined ||
    nanoseconds === undefined ||
    pending === undefined ||
    ![attempt, sequence, consumerSequence, nanoseconds, pending].every(Number.isFinite)
  ) {
    throw new ConsumerLostError('a message came without its place in the stream');
  }
  const storedAtMs = Math.floor(nanoseconds / NANOSECONDS_PER_MS);
  return { message, attempt, sequence, consumerSequence, storedAtMs, pending };
}
