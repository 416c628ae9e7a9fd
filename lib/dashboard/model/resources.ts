/**
 * What the page has read of the server, by path: shared by views, read again when an event says that it has changed, and shown
 * as it was while the server is away.
 */
import { RequestFailure } from './server-api.js';

export interface Snapshot<T = unknown> {
  /** As it was read last. */
  readonly value: T | undefined;
  /** Why it could not be read the last time. */
  readonly failure: RequestFailure | undefined;
  readonly isLoading: boolean;
}

export interface ResourcesOptions {
  readonly load: (path: string) => Promise<unknown>;
  /** Between two readings of one path, however many events come. */
  readonly minGapMs?: number;
}

interface Entry {
  snapshot: Snapshot;
  readonly listeners: Set<() => void>;
  /** Read, and nothing has been heard of it since. */
  isFresh: boolean;
  timer: ReturnType<typeof setTimeout> | undefined;
  /** When it may be read again. */
  notBeforeMs: number;
}

const NOTHING: Snapshot<never> = { value: undefined, failure: undefined, isLoading: false };
const MIN_GAP_MS = 1000;
/** A server that takes long to answer is asked less often. */
const GAP_IN_DURATIONS = 2;
/** Of paths that no view shows any more. */
const MAX_KEPT = 64;

export class Resources {
  readonly #entries = new Map<string, Entry>();
  readonly #options: ResourcesOptions;
  #generation = 0;

  constructor(options: ResourcesOptions) {
    this.#options = options;
  }

  peek<T>(path: string): Snapshot<T> {
    return (this.#entries.get(path)?.snapshot ?? NOTHING) as Snapshot<T>;
  }

  /** Reads the path, and keeps it up to date until the function that is returned is called. */
  watch(path: string, listener: () => void): () => void {
    const entry = this.#entryOf(path);
    entry.listeners.add(listener);
    if (!entry.isFresh) this.#schedule(path, entry);
    return () => entry.listeners.delete(listener);
  }

  /** Something happened to what these paths show. */
  invalidate(matches: (path: string) => boolean): void {
    for (const [path, entry] of this.#entries) {
      if (!matches(path)) continue;
      entry.isFresh = false;
      if (entry.listeners.size > 0) this.#schedule(path, entry);
    }
  }

  /** Nothing stays of what the person before could read. */
  clear(): void {
    this.#generation += 1;
    for (const entry of this.#entries.values()) {
      clearTimeout(entry.timer);
      entry.timer = undefined;
      entry.isFresh = false;
      entry.notBeforeMs = 0;
      publish(entry, NOTHING);
    }
  }

  #entryOf(path: string): Entry {
    const known = this.#entries.get(path);
    if (known !== undefined) return known;
    this.#forgetOldest();
    const entry: Entry = {
      snapshot: NOTHING,
      listeners: new Set(),
      isFresh: false,
      timer: undefined,
      notBeforeMs: 0,
    };
    this.#entries.set(path, entry);
    return entry;
  }

  #forgetOldest(): void {
    if (this.#entries.size < MAX_KEPT) return;
    for (const [path, { listeners, snapshot }] of this.#entries) {
      if (listeners.size > 0 || snapshot.isLoading) continue;
      this.#entries.delete(path);
      return;
    }
  }

  #schedule(path: string, entry: Entry): void {
    if (entry.timer !== undefined || entry.snapshot.isLoading) return;
    const waitMs = Math.max(0, entry.notBeforeMs - performance.now());
    entry.timer = setTimeout(() => {
      entry.timer = undefined;
      void this.#read(path, entry);
    }, waitMs);
  }

  async #read(path: string, entry: Entry): Promise<void> {
    const generation = this.#generation;
    const startedMs = performance.now();
    entry.isFresh = true;
    publish(entry, { ...entry.snapshot, isLoading: true });
    let next: Snapshot;
    try {
      next = { value: await this.#options.load(path), failure: undefined, isLoading: false };
    } catch (error) {
      if (!(error instanceof RequestFailure)) throw error;
      // It stays on the page as it was: a server that is away has not taken anything back.
      next = { value: entry.snapshot.value, failure: error, isLoading: false };
    }
    const finishedMs = performance.now();
    const { minGapMs = MIN_GAP_MS } = this.#options;
    entry.notBeforeMs = finishedMs + Math.max(minGapMs, GAP_IN_DURATIONS * (finishedMs - startedMs));
    if (generation !== this.#generation) {
      entry.notBeforeMs = 0;
      publish(entry, NOTHING);
      if (entry.listeners.size > 0) this.#schedule(path, entry);
      return;
    }
    publish(entry, next);
    if (!entry.isFresh && entry.listeners.size > 0) this.#schedule(path, entry);
  }
}

function publish(entry: Entry, snapshot: Snapshot): void {
  entry.snapshot = snapshot;
  for (const listener of entry.listeners) listener();
}
