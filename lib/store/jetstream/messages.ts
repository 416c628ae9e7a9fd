/**
 * Writing and reading single messages of a stream, so that a lost reply changes nothing.
 *
 * Every write carries an id of its own. The server knows the ids of the last two minutes, longer than an operation may
 * take, and answers a repetition with the sequence of the first; it looks at the id before it compares sequences. Where
 * it still says that another message came first, that message is read: if it carries our id, it is ours. Hence of several
 * writers that expect the same sequence one learns that it has won, and no other, however often replies are lost.
 *
 * On a stream with replicas, nats-server 2.9 compares the sequence of a subject's last message before it proposes the new
 * one, and not again when it is stored: of two proposals under way both
 * succeed (github.com/nats-io/nats-server/issues/4320). What it does compare when it stores is
 * the sequence of the whole stream, and that a subject is empty. So there a change expects the stream as it was when the
 * subject was looked at, which lets one write of a stream through at a time.
 */
import { randomBytes } from 'node:crypto';
import type { StoredMsg } from '@nats-io/jetstream';
import { apiErrorCode, type JetStreamConnection, UndecidedError } from './connection.js';

const WRONG_LAST_SEQUENCE = 10071;
/** "maximum messages per subject exceeded", of a stream that refuses what is new. */
const STORE_FAILED = 10077;
const MESSAGE_ID_HEADER = 'Nats-Msg-Id';
const DIRECT_NOT_FOUND = 404;

export interface WriteOptions {
  /** The sequence of the last message of this subject; 0 for none. */
  readonly expectedSequence?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Location {
  readonly stream: string;
  readonly subject: string;
}

/**
 * @returns the message's sequence, or undefined where the subject's last message is not the expected one, or where the
 *   stream keeps one message a subject and refuses a second
 * @throws EnvironmentError `store.unavailable`, `store.failed`
 */
export async function writeMessage(
  connection: JetStreamConnection,
  what: string,
  location: Location,
  data: Uint8Array,
  options: WriteOptions = {},
): Promise<number | undefined> {
  const { expectedSequence } = options;
  if (expectedSequence === undefined || expectedSequence === 0 || connection.config.replicas === 1) {
    return publish(connection, what, location, data, options.headers, {
      ...(expectedSequence !== undefined && { lastSubjectSequence: expectedSequence }),
    });
  }
  for (;;) {
    const streamSequence = await lastOfStreamWhile(connection, what, location, expectedSequence);
    if (streamSequence === undefined) return undefined;
    const expected = { lastSequence: streamSequence, lastSubjectSequence: expectedSequence };
    const sequence = await publish(connection, what, location, data, options.headers, expected);
    // Refused: some key was written in between, this one or another.
    if (sequence !== undefined) return sequence;
  }
}

interface Expected {
  readonly lastSequence?: number;
  readonly lastSubjectSequence?: number;
}

/** Undefined where an expectation does not hold. */
async function publish(
  connection: JetStreamConnection,
  what: string,
  location: Location,
  data: Uint8Array,
  headerFields: Readonly<Record<string, string>> | undefined,
  expected: Expected,
): Promise<number | undefined> {
  const id = randomBytes(16).toString('hex');
  const headers = connection.packages.transport.headers();
  for (const [name, value] of Object.entries(headerFields ?? {})) headers.set(name, value);
  let attempts = 0;
  return connection.persist(what, async () => {
    attempts += 1;
    try {
      const acknowledgement = await connection.client.publish(location.subject, data, {
        msgID: id,
        headers,
        expect: { streamName: location.stream, ...expected },
      });
      // A repetition, while the replicas have not agreed on the first: it may still be refused.
      if (acknowledgement.seq === 0) throw new UndecidedError();
      return acknowledgement.seq;
    } catch (error) {
      if (!isConflict(error)) throw error;
      if (attempts === 1) return undefined;
      const last = await lastMessage(connection, location.stream, location.subject);
      return last?.header.get(MESSAGE_ID_HEADER) === id ? last.seq : undefined;
    }
  });
}

/** The sequence of the stream's last message, while the subject's last is `expectedSequence`; undefined when it is not. */
async function lastOfStreamWhile(
  connection: JetStreamConnection,
  what: string,
  { stream, subject }: Location,
  expectedSequence: number,
): Promise<number | undefined> {
  return connection.persist(what, async () => {
    // In this order: what is written after the first look makes the write fail.
    const { state } = await connection.manager.streams.info(stream);
    const last = await lastMessage(connection, stream, subject);
    return last?.seq === expectedSequence ? state.last_seq : undefined;
  });
}

/** The last message of a subject, from the stream's leader; one attempt. */
export async function lastMessage(
  connection: JetStreamConnection,
  stream: string,
  subject: string,
): Promise<StoredMsg | undefined> {
  return (await connection.manager.streams.getMessage(stream, { last_by_subj: subject })) ?? undefined;
}

/**
 * The message of a subject that is written once: from any replica, in binary, and from the leader, in base64, where that
 * replica does not have it yet. One attempt.
 */
export async function onlyMessage(
  connection: JetStreamConnection,
  stream: string,
  subject: string,
): Promise<Uint8Array | undefined> {
  try {
    const direct = await connection.manager.direct.getMessage(stream, { last_by_subj: subject });
    if (direct !== null) return direct.data;
  } catch (error) {
    if (!(error instanceof Error) || Reflect.get(error, 'code') !== DIRECT_NOT_FOUND) throw error;
  }
  return (await lastMessage(connection, stream, subject))?.data;
}

function isConflict(error: unknown): boolean {
  const code = apiErrorCode(error);
  return (
    code === WRONG_LAST_SEQUENCE ||
    (code === STORE_FAILED && error instanceof Error && error.message.includes('per subject'))
  );
}
