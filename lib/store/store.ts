/**
 * What the aggregation service keeps, and where: small values with compare-and-set, immutable blobs, tasks under a lease.
 * Every server process that shares a store may be killed at any moment; what a call of the store has returned stays true.
 */

/** A value, and the revision that a change of it has to name. */
export interface StoredValue {
  readonly value: Uint8Array;
  /** Grows with every change of any key of the store; never used again. */
  readonly revision: number;
}

export interface StoredKey {
  readonly key: string;
  readonly revision: number;
}

export interface StateChange {
  readonly key: string;
  /** Undefined where the key was removed. */
  readonly value: Uint8Array | undefined;
  readonly revision: number;
}

export interface WatchOptions {
  /** Ends the watch. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Delivers only what changed after this revision, removals included, instead of all current values first. A removal
   * that `collectLeftovers` has forgotten is not delivered.
   */
  readonly afterRevision?: number | undefined;
}

/**
 * Small values, 512 KiB at most, under keys such as `round.7.status`: segments of letters, digits, `_` and `-`, joined
 * by dots.
 *
 * Every method throws FormatError `store.bad-key`, ParameterError `store.value-too-large`, and EnvironmentError
 * `store.unavailable`, `store.failed` or one of `storage.*`.
 */
export interface StateStore {
  get(key: string): Promise<StoredValue | undefined>;
  /** @returns the revision, or undefined if the key has a value */
  create(key: string, value: Uint8Array): Promise<number | undefined>;
  /** @returns the new revision, or undefined if the key is not at `revision` any more */
  update(key: string, value: Uint8Array, revision: number): Promise<number | undefined>;
  /** @returns false if the key is not at `revision` any more */
  remove(key: string, revision: number): Promise<boolean>;
  /** The keys below `prefix` (`round` lists `round.7`, not `round` or `rounds.7`), all of them for ''; in any order. */
  list(prefix: string): AsyncIterable<StoredKey>;
  /** The revision of the last change of any key; 0 where there was none. */
  lastRevision(): Promise<number>;
  /**
   * The values below `prefix`, then every change, in the order of the revisions. Of changes that follow each other
   * quickly on one key only the last may be delivered. Ends with the signal or the store.
   */
  watch(prefix: string, options?: WatchOptions): AsyncIterable<StateChange>;
}

export interface Blob {
  /** SHA-256 of `bytes`, 64 lower-case hexadecimal digits. */
  readonly digest: string;
  readonly bytes: Uint8Array;
}

export interface StoredBlob {
  readonly digest: string;
  readonly sizeBytes: number;
  /** When it was last put, by the clock of the machine that stores it. */
  readonly storedAtMs: number;
}

export interface BlobUsage {
  readonly blobs: number;
  readonly sizeBytes: number;
}

/**
 * Immutable bytes under their SHA-256, 4 MiB at most.
 *
 * Whoever is about to refer to a blob puts it first, even if it is there: a put makes it new again, and what is new is
 * not removed by `remove` with `storedBeforeMs`.
 *
 * Every method throws FormatError `store.bad-digest` and EnvironmentError `store.unavailable`, `store.failed` or one of
 * `storage.*`.
 */
export interface BlobStore {
  /**
   * Stores a blob, and replaces one that was damaged; on the disk, or acknowledged by the stream, when this returns.
   *
   * @throws VerificationError `store.digest-mismatch`: the bytes are others; nothing was stored
   * @throws ParameterError `store.blob-too-large`
   */
  put(digest: string, bytes: Uint8Array): Promise<void>;
  /** `put` for several, which share what waiting for the disk costs. After an error some of them may be stored. */
  putMany(blobs: readonly Blob[]): Promise<void>;
  /** Whether somebody stored it; that it is on the disk is known to those whose put has returned. */
  has(digest: string): Promise<boolean>;
  /** @throws VerificationError `store.blob-corrupt`: what is stored is not what was put; the message names the blob */
  read(digest: string): Promise<Uint8Array | undefined>;
  /**
   * Removes a blob, if it was last put before `storedBeforeMs` where that is given.
   *
   * @returns whether it was removed
   */
  remove(digest: string, options?: { readonly storedBeforeMs?: number }): Promise<boolean>;
  /** In any order. */
  list(): AsyncIterable<StoredBlob>;
  usage(): Promise<BlobUsage>;
}

/** A task that nobody else is given while its lease lasts. */
export interface Task {
  readonly id: string;
  readonly payload: Uint8Array;
  /** 1 at the first delivery. One that was lost on its way here counts. */
  readonly attempt: number;
  /**
   * Starts the lease again. Call it after a third of the lease: near its end it may count as over.
   *
   * @returns false if it has ended: somebody else may have the task, so stop working on it
   */
  extend(): Promise<boolean>;
  /** Ends the task for everybody; also after the lease: the work was done. */
  done(): Promise<void>;
  /** Gives the task back at once. Does nothing after the lease. */
  release(): Promise<void>;
}

export interface TakeOptions {
  /** 1,000 to 3,600,000. Use the same one wherever a queue is taken from: JetStream keeps the last. */
  readonly leaseMs: number;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Tasks, each delivered at least once: one that is not done when its lease ends is given out again, hence also after its
 * process died. What a task does must therefore bear repetition.
 *
 * Every method throws FormatError `store.bad-key`, ParameterError `store.value-too-large` or `store.bad-lease`, and
 * EnvironmentError `store.unavailable`, `store.failed` or one of `storage.*`.
 */
export interface WorkQueue {
  /**
   * @param queue one segment of a key
   * @param id a key; one task of this id waits or is worked on at a time. Name the work, with its version: while the end
   *   of a task travels between replicas, another under its id is taken for the same
   * @param payload 512 KiB at most
   * @returns false if the task is there already
   */
  push(queue: string, id: string, payload: Uint8Array): Promise<boolean>;
  /** Waits for a task. @returns undefined once the signal aborts or the store is closed */
  take(queue: string, options: TakeOptions): Promise<Task | undefined>;
}

export interface Store {
  readonly kind: 'embedded' | 'jetstream';
  readonly state: StateStore;
  readonly blobs: BlobStore;
  readonly queue: WorkQueue;
  /**
   * Collects what interrupted writes and removed keys have left, if it is older than `olderThanMs` (an hour by default).
   * A watch that lagged behind for longer misses those removals.
   */
  collectLeftovers(options?: { readonly olderThanMs?: number }): Promise<void>;
  /** Ends watches and waits, gives back the tasks that are held, and lets go of the files or the connection. */
  close(): Promise<void>;
}
