/** Listing a stream that keeps one message a subject, while others go on replacing them. */
import { type Ends, hasEnded } from '../lifetime.js';
import type { JetStreamConnection } from './connection.js';
import { lastMessage } from './messages.js';
import { readOnce } from './reading.js';

export interface Listing {
  readonly stream: string;
  readonly filter: string;
  readonly headersOnly?: boolean;
  /** Ends the listing; asked for between messages. */
  readonly ends: Ends;
}

interface Headers {
  get(name: string): string;
}

export interface LastMessage {
  readonly subject: string;
  /** Nothing, or all of it, with `headersOnly`. */
  readonly data: Uint8Array;
  readonly headers: Headers | undefined;
  readonly sequence: number;
  readonly storedAtMs: number;
}

/**
 * The last message of every subject that has one when this is called, each subject once, in any order. Of a subject whose
 * message is replaced meanwhile, one of them; of one that is emptied meanwhile, perhaps none.
 *
 * Which subjects there are, the server says at one moment. A consumer then brings most messages quickly, and need not bring
 * all: what is replaced before the consumer comes to it moves behind everybody else, and how many are still to come is a
 * number that nats-server 2.9 gets wrong while messages are replaced. What it has not brought is asked for by name.
 *
 * @throws EnvironmentError `store.failed`, `store.unavailable`
 */
export async function* lastMessages(
  connection: JetStreamConnection,
  listing: Listing,
): AsyncIterable<LastMessage> {
  const { missing, lastSequence } = await subjectsOf(connection, listing);
  if (missing.size === 0) return;
  for await (const { message, sequence, storedAtMs } of readOnce(connection, listing, lastSequence)) {
    const { subject, data, headers } = message;
    // Not there when this was called, or replaced since it was brought.
    if (!missing.delete(subject)) continue;
    yield { subject, data, headers, sequence, storedAtMs };
    if (missing.size === 0) return;
  }
  for (const subject of missing) {
    if (hasEnded(listing.ends)) return;
    const last = await connection.persist('read a message that is listed', () =>
      lastMessage(connection, listing.stream, subject),
    );
    if (last === undefined) continue;
    yield {
      subject,
      data: last.data,
      headers: last.header,
      sequence: last.seq,
      storedAtMs: last.time.getTime(),
    };
  }
}

async function subjectsOf(
  connection: JetStreamConnection,
  { stream, filter }: Listing,
): Promise<{ readonly missing: Set<string>; readonly lastSequence: number }> {
  const { state } = await connection.persist('list subjects', () =>
    connection.manager.streams.info(stream, { subjects_filter: filter }),
  );
  return { missing: new Set(Object.keys(state.subjects ?? {})), lastSequence: state.last_seq };
}
