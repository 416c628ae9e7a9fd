/** Where records go: into the store, and to whatever else was asked for. What a record means an alarm for, it leaves one of. */
import { alertsOf, droppedRecordsAlert } from '../../observability/alerts.js';
import type { RecordSink } from '../../observability/record-sink.js';
import type { TelemetryRecord } from '../../observability/records.js';

export class Recorder {
  readonly #sinks: RecordSink[] = [];

  constructor(private readonly now: () => number = Date.now) {}

  add(sink: RecordSink): void {
    this.#sinks.push(sink);
  }

  /** Returns at once and does not throw. */
  put(record: TelemetryRecord): void {
    for (const each of [record, ...alertsOf(record)]) {
      for (const sink of this.#sinks) sink.put(each);
    }
  }

  /** Says that a sink could not take some records, in those that do. */
  dropped(name: string, count: number): void {
    this.put(droppedRecordsAlert(this.now(), name, count));
  }

  async close(): Promise<void> {
    await Promise.all(this.#sinks.map((sink) => sink.close()));
  }
}
