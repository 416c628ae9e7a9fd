/**
 * The newest records, in the store that all servers share: each under a key of its own, so that two servers that write at once
 * do not wait for each other, and whoever listens gets what is new.
 */
import { createHash } from 'node:crypto';
import { type RecordKind, recordSchema, type TelemetryRecord } from '../../observability/records.js';
import type { StateStore } from '../../store/store.js';
import { IndexedValues } from '../state/indexed-values.js';
import { changeJson } from '../state/json-state.js';
import { RECORD_PREFIX } from '../state/keys.js';

/** Of each kind; of budgets there is one for each robot and round. */
export const KEPT_RECORDS: Readonly<Record<RecordKind, number>> = {
  ...{ latency: 500, compression: 500, quality: 500, privacy: 2000, alert: 500, round: 500 },
  ...{ rollout: 500, custody: 500 },
};
/** Records of one kind between two looks at how many there are. */
const TRIM_EVERY = 16;

export class RecordBook {
  readonly #index: IndexedValues<TelemetryRecord>;
  readonly #untilTrim = new Map<RecordKind, number>();

  /** @param kept how many of each kind */
  constructor(
    private readonly state: StateStore,
    private readonly kept: Readonly<Record<RecordKind, number>> = KEPT_RECORDS,
  ) {
    this.#index = new IndexedValues<TelemetryRecord>(state, recordSchema, RECORD_PREFIX);
  }

  /** Keeps a record, in place of an earlier one with its id. @throws as the store does */
  async put(record: TelemetryRecord): Promise<void> {
    await changeJson<TelemetryRecord>(this.state, recordSchema, keyOf(record), (present) =>
      present !== undefined && present.atMs > record.atMs ? undefined : record,
    );
    const left = (this.#untilTrim.get(record.kind) ?? 1) - 1;
    this.#untilTrim.set(record.kind, left > 0 ? left : TRIM_EVERY);
    if (left <= 0) await this.#trim(record.kind);
  }

  /** The newest records first. What was stored before this is called is among them. @throws as the store does */
  async newest(limit: number, kind?: RecordKind): Promise<TelemetryRecord[]> {
    const records = await this.#index.read(prefixOf(kind));
    return [...records.values()]
      .map(({ value }) => value)
      .sort((a, b) => b.atMs - a.atMs || (a.id < b.id ? -1 : 1))
      .slice(0, limit);
  }

  async #trim(kind: RecordKind): Promise<void> {
    const records = [...(await this.#index.read(prefixOf(kind)))];
    records.sort(([, a], [, b]) => a.value.atMs - b.value.atMs || a.revision - b.revision);
    for (const [key, { revision }] of records.slice(0, Math.max(0, records.length - this.kept[kind]))) {
      // One that changed meanwhile is not the oldest any more.
      await this.state.remove(key, revision);
    }
  }
}

function prefixOf(kind: RecordKind | undefined): string {
  return kind === undefined ? RECORD_PREFIX : `${RECORD_PREFIX}.${kind}`;
}

/** Ids are longer than a part of a key may be. */
function keyOf({ kind, id }: TelemetryRecord): string {
  const name = createHash('sha256').update(id).digest('hex').slice(0, 32);
  return `${prefixOf(kind)}.${name}`;
}
