/**
 * Values in a JetStream key-value bucket: one message a key, whose sequence is the revision.
 *
 * `create` and `update` may return undefined although the value was stored, in one case: no reply came for two minutes
 * and another process has replaced the value since. The next read shows it.
 */
import type { StoredMsg } from '@nats-io/jetstream';
import { endsOf } from '../lifetime.js';
import { requireKey, requirePrefix, requireValueSize } from '../limits.js';
import type { StateChange, StateStore, StoredKey, StoredValue, WatchOptions } from '../store.js';
import type { JetStreamConnection } from './connection.js';
import { type LastMessage, lastMessages } from './last-messages.js';
import { lastMessage, type WriteOptions, writeMessage } from './messages.js';
import { followStream } from './reading.js';
import type { StreamNames } from './streams.js';

/** What marks a removed key in a key-value bucket. */
const OPERATION_HEADER = 'KV-Operation';
const REMOVED = 'DEL';

interface Headers {
  get(name: string): string;
}

export class JetStreamState implements StateStore {
  constructor(
    private readonly connection: JetStreamConnection,
    private readonly names: StreamNames,
    private readonly closed: AbortSignal,
  ) {}

  async get(key: string): Promise<StoredValue | undefined> {
    const message = await this.last(requireKey(key));
    return message === undefined || isRemoval(message.header)
      ? undefined
      : { value: message.data, revision: message.seq };
  }

  async create(key: string, value: Uint8Array): Promise<number | undefined> {
    requireKey(key);
    requireValueSize(value);
    const revision = await this.write(key, value, { expectedSequence: 0 });
    if (revision !== undefined) return revision;
    // A key that was removed has a message that says so.
    const last = await this.last(key);
    if (last === undefined) return this.create(key, value);
    return isRemoval(last.header) ? this.write(key, value, { expectedSequence: last.seq }) : undefined;
  }

  async update(key: string, value: Uint8Array, revision: number): Promise<number | undefined> {
    requireKey(key);
    requireValueSize(value);
    const current = await this.valueAt(key, revision);
    return current ? this.write(key, value, { expectedSequence: revision }) : undefined;
  }

  async remove(key: string, revision: number): Promise<boolean> {
    requireKey(key);
    if (!(await this.valueAt(key, revision))) return false;
    const headers = { [OPERATION_HEADER]: REMOVED };
    const written = await this.write(key, new Uint8Array(), { expectedSequence: revision, headers });
    return written !== undefined;
  }

  async *list(prefix: string): AsyncIterable<StoredKey> {
    for await (const { subject, headers, sequence } of this.lastBelow(prefix)) {
      if (!isRemoval(headers)) yield { key: this.keyOf(subject), revision: sequence };
    }
  }

  lastRevision(): Promise<number> {
    return this.connection.persist('read the last revision', async () => {
      const { state } = await this.connection.manager.streams.info(this.names.state);
      return state.last_seq;
    });
  }

  async *watch(prefix: string, options: WatchOptions = {}): AsyncIterable<StateChange> {
    const started = options.afterRevision === undefined ? await this.lastRevision() : 0;
    const reading = {
      stream: this.names.state,
      filter: this.subjectsBelow(prefix),
      ends: endsOf(this.closed, options.signal),
    };
    const messages = followStream(this.connection, reading, (options.afterRevision ?? 0) + 1);
    for await (const { message, sequence } of messages) {
      const removed = isRemoval(message.headers);
      // Somebody who never saw the key need not hear that it was removed.
      if (removed && sequence <= started) continue;
      yield {
        key: this.keyOf(message.subject),
        value: removed ? undefined : message.data,
        revision: sequence,
      };
    }
  }

  /** Forgets keys that were removed before `beforeMs`. */
  async forgetRemoved(beforeMs: number): Promise<void> {
    for await (const { subject, headers, sequence, storedAtMs } of this.lastBelow('')) {
      if (!isRemoval(headers) || storedAtMs >= beforeMs) continue;
      // Up to this message: a value that was written meanwhile comes after it.
      const range = { filter: subject, seq: sequence + 1 };
      await this.connection.persist('forget a removed key', () =>
        this.connection.manager.streams.purge(this.names.state, range),
      );
    }
  }

  private lastBelow(prefix: string): AsyncIterable<LastMessage> {
    return lastMessages(this.connection, {
      stream: this.names.state,
      filter: this.subjectsBelow(prefix),
      headersOnly: true,
      ends: [this.closed],
    });
  }

  /** A removed key also has a message at a revision, which is not for `update` to know. */
  private async valueAt(key: string, revision: number): Promise<boolean> {
    const last = await this.last(key);
    return last !== undefined && last.seq === revision && !isRemoval(last.header);
  }

  private last(key: string): Promise<StoredMsg | undefined> {
    return this.connection.persist('read a value', () =>
      lastMessage(this.connection, this.names.state, this.subjectOf(key)),
    );
  }

  private write(key: string, value: Uint8Array, options: WriteOptions): Promise<number | undefined> {
    const location = { stream: this.names.state, subject: this.subjectOf(key) };
    return writeMessage(this.connection, 'store a value', location, value, options);
  }

  private subjectOf(key: string): string {
    return `${this.names.stateSubjects}.${key}`;
  }

  private keyOf(subject: string): string {
    return subject.slice(this.names.stateSubjects.length + 1);
  }

  private subjectsBelow(prefix: string): string {
    return requirePrefix(prefix) === ''
      ? `${this.names.stateSubjects}.>`
      : `${this.names.stateSubjects}.${prefix}.>`;
  }
}

function isRemoval(headers: Headers | undefined): boolean {
  const operation = headers?.get(OPERATION_HEADER);
  // PURGE is what `nats kv purge` leaves.
  return operation === REMOVED || operation === 'PURGE';
}
