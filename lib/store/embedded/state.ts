/** Values in SQLite: a change compares the revision and takes the next one in the same transaction. */
import type { DurableDatabase, SqlValue } from '../../durable/durable-database.js';
import { endsOf, hasEnded, pause } from '../lifetime.js';
import { requireKey, requirePrefix, requireValueSize } from '../limits.js';
import type { StateChange, StateStore, StoredKey, StoredValue, WatchOptions } from '../store.js';
import { changeRow, keyRow, revisionRow, valueRow } from './tables.js';
import { WakeUp } from './wake-up.js';

const KEYS_PER_PAGE = 1_000;
/** Values may have 512 KiB each. */
const CHANGES_PER_PAGE = 64;

export interface StateSettings {
  readonly pollMs: number;
  /** Aborts when the store is closed. */
  readonly closed: AbortSignal;
}

export class EmbeddedState implements StateStore {
  private readonly changes = new WakeUp();

  constructor(
    private readonly database: DurableDatabase,
    private readonly settings: StateSettings,
  ) {}

  async get(key: string): Promise<StoredValue | undefined> {
    return this.database.get(
      valueRow,
      'SELECT value, revision FROM state WHERE key = ? AND value IS NOT NULL',
      [requireKey(key)],
    );
  }

  async create(key: string, value: Uint8Array): Promise<number | undefined> {
    requireKey(key);
    requireValueSize(value);
    return this.change(
      `INSERT INTO state (value, revision, changed_at_ms, key) VALUES (?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision,
         changed_at_ms = excluded.changed_at_ms WHERE state.value IS NULL`,
      value,
      [key],
    );
  }

  async update(key: string, value: Uint8Array, revision: number): Promise<number | undefined> {
    requireKey(key);
    requireValueSize(value);
    return this.changeAt(key, value, revision);
  }

  async remove(key: string, revision: number): Promise<boolean> {
    return this.changeAt(requireKey(key), null, revision) !== undefined;
  }

  async *list(prefix: string): AsyncIterable<StoredKey> {
    const { from, to } = rangeBelow(requirePrefix(prefix));
    for (let after = from; ; ) {
      const page = this.database.all(
        keyRow,
        `SELECT key, revision FROM state WHERE key > ? AND key < ? AND value IS NOT NULL ORDER BY key LIMIT ${KEYS_PER_PAGE}`,
        [after, to],
      );
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < KEYS_PER_PAGE) return;
      after = last.key;
    }
  }

  async lastRevision(): Promise<number> {
    return this.#revision();
  }

  async *watch(prefix: string, options: WatchOptions = {}): AsyncIterable<StateChange> {
    const range = rangeBelow(requirePrefix(prefix));
    const ends = endsOf(this.settings.closed, options.signal);
    // Removals up to here happened before the watch, and are nothing to somebody who never saw the keys.
    const started = options.afterRevision === undefined ? this.#revision() : 0;
    let seen = options.afterRevision ?? 0;
    while (!hasEnded(ends)) {
      const changed = this.changes.signal();
      const page = this.changesAfter(seen, range);
      for (const { key, value, revision } of page) {
        seen = revision;
        if (value === null && revision <= started) continue;
        yield { key, value: value ?? undefined, revision };
        if (hasEnded(ends)) return;
      }
      if (page.length < CHANGES_PER_PAGE) await pause(this.settings.pollMs, [changed, ...ends]);
    }
  }

  /** Forgets keys that were removed before `beforeMs`. */
  forgetRemoved(beforeMs: number): void {
    this.database.run('DELETE FROM state WHERE value IS NULL AND changed_at_ms < ?', [beforeMs]);
  }

  private changeAt(key: string, value: Uint8Array | null, revision: number): number | undefined {
    return this.change(
      `UPDATE state SET value = ?, revision = ?, changed_at_ms = ?
       WHERE key = ? AND revision = ? AND value IS NOT NULL`,
      value,
      [key, revision],
    );
  }

  /** Runs `sql` with the value, the next revision and the time; the revision, if a row was changed. */
  private change(sql: string, value: Uint8Array | null, rest: readonly SqlValue[]): number | undefined {
    const revision = this.database.transaction(() => {
      const next = this.#revision() + 1;
      if (this.database.run(sql, [value, next, Date.now(), ...rest]) === 0) return undefined;
      this.database.run('UPDATE last_revision SET revision = ?', [next]);
      return next;
    });
    if (revision !== undefined) this.changes.notify();
    return revision;
  }

  #revision(): number {
    return this.database.get(revisionRow, 'SELECT revision FROM last_revision')?.revision ?? 0;
  }

  private changesAfter(revision: number, { from, to }: KeyRange) {
    return this.database.all(
      changeRow,
      `SELECT key, value, revision FROM state WHERE revision > ? AND key > ? AND key < ?
       ORDER BY revision LIMIT ${CHANGES_PER_PAGE}`,
      [revision, from, to],
    );
  }
}

interface KeyRange {
  readonly from: string;
  readonly to: string;
}

/** '/' comes right after '.', and '{' after every character of a key. */
function rangeBelow(prefix: string): KeyRange {
  return prefix === '' ? { from: '', to: '{' } : { from: `${prefix}.`, to: `${prefix}/` };
}
