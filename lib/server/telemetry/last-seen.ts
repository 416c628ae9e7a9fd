/**
 * When each client was last heard of: noted in memory at every request, and in the store once in a while, since a fleet asks
 * for its work all the time.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { idSchema, unixMsSchema } from '../../package/messages/common.js';
import type { StateStore } from '../../store/store.js';
import { changeJson, listJson } from '../state/json-state.js';
import { SEEN_PREFIX } from '../state/keys.js';

/** So that a value of the largest fleet stays below 100 KiB, and few of a small fleet are written. */
const SHARDS = 64;

const shardSchema = z.record(idSchema, unixMsSchema);

export class LastSeen {
  readonly #noted = new Map<string, number>();

  constructor(
    private readonly state: StateStore,
    private readonly now: () => number = Date.now,
  ) {}

  note(client: string): void {
    this.#noted.set(client, this.now());
  }

  /** Stores what was noted. Called again and again. @throws as the store does */
  async flush(): Promise<void> {
    const shards = new Map<string, [string, number][]>();
    for (const [client, atMs] of this.#noted) {
      const shard = shardOf(client);
      shards.set(shard, [...(shards.get(shard) ?? []), [client, atMs]]);
    }
    for (const [shard, seen] of shards) {
      await changeJson(this.state, shardSchema, shard, (present = {}) => {
        // A client may be called "constructor".
        const next = new Map(Object.entries(present));
        for (const [client, atMs] of seen) next.set(client, Math.max(atMs, next.get(client) ?? 0));
        return Object.fromEntries(next);
      });
      for (const [client, atMs] of seen) {
        if (this.#noted.get(client) === atMs) this.#noted.delete(client);
      }
    }
  }

  /** Milliseconds since 1970, of everybody who was ever heard of by a server of this store. @throws as the store does */
  async all(): Promise<ReadonlyMap<string, number>> {
    const seen = new Map<string, number>();
    for await (const { value } of listJson(this.state, shardSchema, SEEN_PREFIX)) {
      for (const [client, atMs] of Object.entries(value)) seen.set(client, atMs);
    }
    for (const [client, atMs] of this.#noted) seen.set(client, Math.max(atMs, seen.get(client) ?? 0));
    return seen;
  }
}

function shardOf(client: string): string {
  const [first = 0] = createHash('sha256').update(client).digest();
  return `${SEEN_PREFIX}.${first % SHARDS}`;
}
