/** When a thing that failed is tried again: each time later, so that nothing that stays impossible is tried in a circle. */

export interface RetryScheduleOptions {
  readonly firstMs?: number;
  readonly maxMs?: number;
  readonly now?: () => number;
  /** In [0, 1). */
  readonly random?: () => number;
}

interface Entry {
  readonly failures: number;
  readonly dueMs: number;
}

/** Rounds, sets and releases that an agent may have on its hands at once; what is forgotten is only tried sooner. */
const MAX_ENTRIES = 1024;

/** In memory: after a restart everything is tried once. */
export class RetrySchedule {
  readonly #entries = new Map<string, Entry>();
  readonly #firstMs: number;
  readonly #maxMs: number;
  readonly #now: () => number;
  readonly #random: () => number;

  constructor({
    firstMs = 30_000,
    maxMs = 3_600_000,
    now = Date.now,
    random = Math.random,
  }: RetryScheduleOptions = {}) {
    this.#firstMs = firstMs;
    this.#maxMs = maxMs;
    this.#now = now;
    this.#random = random;
  }

  isDue(key: string): boolean {
    const entry = this.#entries.get(key);
    return entry === undefined || this.#now() >= entry.dueMs;
  }

  /** @returns milliseconds until `key` is due again */
  failed(key: string): number {
    const failures = (this.#entries.get(key)?.failures ?? 0) + 1;
    const ceilingMs = Math.min(this.#maxMs, this.#firstMs * 2 ** (failures - 1));
    // At least half: unlike a connection, what was refused is not wanted back at once by anybody.
    const waitMs = Math.round(ceilingMs * (0.5 + this.#random() / 2));
    this.#entries.delete(key);
    if (this.#entries.size >= MAX_ENTRIES) this.#entries.delete(this.#entries.keys().next().value as string);
    this.#entries.set(key, { failures, dueMs: this.#now() + waitMs });
    return waitMs;
  }

  /** Not tried again by this process. */
  never(key: string): void {
    this.failed(key);
    this.#entries.set(key, { failures: Number.MAX_SAFE_INTEGER, dueMs: Number.POSITIVE_INFINITY });
  }

  succeeded(key: string): void {
    this.#entries.delete(key);
  }
}
