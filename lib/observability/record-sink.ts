import type { TelemetryRecord } from './records.js';

/** Takes records without ever holding up whoever has them. */
export interface RecordSink {
  /** For messages, and for the count of what it dropped. */
  readonly name: string;
  /** Returns at once and does not throw. */
  put(record: TelemetryRecord): void;
  /** Writes what it has taken, in a bounded time. */
  close(): Promise<void>;
}
