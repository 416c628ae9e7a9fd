/** Putting records into the store in the background: rounds do not wait for what is written about them. */
import type { RecordSink } from '../../observability/record-sink.js';
import type { TelemetryRecord } from '../../observability/records.js';
import type { RecordBook } from './record-book.js';

/** More than a store that can be reached ever has waiting. */
const MAX_WAITING = 4096;
const RETRY_MS = 1000;
const CLOSE_LIMIT_MS = 2000;

export interface StoredRecordsOptions {
  readonly onDropped: (count: number) => void;
  readonly onError: (error: unknown) => void;
  readonly maxWaiting?: number;
  readonly retryMs?: number;
}

export class StoredRecords implements RecordSink {
  readonly name = 'store';
  /** By kind and id: of two that wait, the later one counts. */
  readonly #waiting = new Map<string, TelemetryRecord>();
  readonly #closing = new AbortController();
  #draining: Promise<void> | undefined;
  #dropped = 0;

  constructor(
    private readonly book: RecordBook,
    private readonly options: StoredRecordsOptions,
  ) {}

  put(record: TelemetryRecord): void {
    const key = `${record.kind} ${record.id}`;
    const { maxWaiting = MAX_WAITING } = this.options;
    if (!this.#waiting.has(key) && this.#waiting.size >= maxWaiting) {
      this.#dropped += 1;
      return;
    }
    this.#waiting.set(key, record);
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = undefined;
    });
  }

  async close(): Promise<void> {
    const limit = setTimeout(() => this.#closing.abort(), CLOSE_LIMIT_MS);
    await this.#draining;
    clearTimeout(limit);
    this.#closing.abort();
  }

  async #drain(): Promise<void> {
    for (;;) {
      const [next] = this.#waiting;
      if (next === undefined || this.#closing.signal.aborted) break;
      const [key, record] = next;
      try {
        await this.book.put(record);
        // A later one may have taken its place meanwhile.
        if (this.#waiting.get(key) === record) this.#waiting.delete(key);
      } catch (error) {
        this.options.onError(error);
        await new Promise((resolve) => setTimeout(resolve, this.options.retryMs ?? RETRY_MS));
      }
    }
    if (this.#dropped > 0) {
      const count = this.#dropped;
      this.#dropped = 0;
      this.options.onDropped(count);
    }
  }
}
