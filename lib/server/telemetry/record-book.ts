/**
 * The newest records, in the store that all servers share: each under a key of its own, so that two servers that write at once
 * do not wait for each other, and whoever listens gets what is new.
 */
import { createHash } from 'node:crypto';
import { type RecordKind, recordSchema, type TelemetryRecord } from '../../observability/records.js';
import type { StateStore } from '../../store/store.js';
import { changeJson, readJson } from '../state/json-state.js';
import { keySegment, RECORD_PREFIX } from '../state/keys.js';

/** Of each kind; of budgets there is one for each robot and round. */
export const KEPT_RECORDS: Readonly<Record<RecordKind, number>> = {
  ...{ latency: 500, compression: 500, quality: 500, privacy: 2000, alert: 500, round: 500 },
  ...{ rollout: 500, custody: 500 },
};
/** Records of one kind between two looks at how many there are. */
const TRIM_EVERY = 16;

interface Known {
  readonly revision: number;
  readonly record: TelemetryRecord;
}

export class RecordBook {
  readonly #known = new Map<string, Known>();
  readonly #untilTrim = new Map<RecordKind, number>();

  /** @param kept how many of each kind */
  constructor(
    private readonly state: StateStore,
    private readonly kept: Readonly<Record<RecordKind, number>> = KEPT_RECORDS,
  ) {}

  /** Keeps a record, in place of an earlier one with its id. @throws as the store does */
  async put(record: TelemetryRecord): Promise<void> {
    await changeJson(this.state, recordSchema, keyOf(record), (present) =>
      present !== undefined && present.atMs > record.atMs ? undefined : record,
    );
    const left = (this.#untilTrim.get(record.kind) ?? 1) - 1;
    this.#untilTrim.set(record.kind, left > 0 ? left : TRIM_EVERY);
    if (left <= 0) await this.#trim(record.kind);
  }

  /** The newest records first. What was stored before this is called is among them. @throws as the store does */
  async newest(limit: number, kind?: RecordKind): Promise<TelemetryRecord[]> {
    await this.#refresh(kind);
    return [...this.#known.values()]
      .map(({ record }) => record)
      .filter((record) => kind === undefined || record.kind === kind)
      .sort((a, b) => b.atMs - a.atMs || (a.id < b.id ? -1 : 1))
      .slice(0, limit);
  }

  /** Reads what has changed, and forgets what is gone. */
  async #refresh(kind?: RecordKind): Promise<void> {
    const prefix = kind === undefined ? RECORD_PREFIX : `${RECORD_PREFIX}.${kind}`;
    const present = new Set<string>();
    for await (const { key, revision } of this.state.list(prefix)) {
      present.add(key);
      if ((this.#known.get(key)?.revision ?? -1) >= revision) continue;
      const stored = await readJson(this.state, recordSchema, key);
      if (stored !== undefined) this.#known.set(key, { revision: stored.revision, record: stored.value });
    }
    for (const key of this.#known.keys()) {
      if ((key === prefix || key.startsWith(`${prefix}.`)) && !present.has(key)) this.#known.delete(key);
    }
  }

  async #trim(kind: RecordKind): Promise<void> {
    await this.#refresh(kind);
    const prefix = `${RECORD_PREFIX}.${kind}.`;
    const oldestFirst = [...this.#known]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([, a], [, b]) => a.record.atMs - b.record.atMs || a.revision - b.revision);
    for (const [key, { revision }] of oldestFirst.slice(
      0,
      Math.max(0, oldestFirst.length - this.kept[kind]),
    )) {
      // One that changed meanwhile is not the oldest any more.
      if (await this.state.remove(key, revision)) this.#known.delete(key);
    }
  }
}

/** Ids are longer than a part of a key may be. */
function keyOf({ kind, id }: TelemetryRecord): string {
  const name = createHash('sha256').update(id).digest('hex').slice(0, 32);
  return [RECORD_PREFIX, keySegment(kind), name].join('.');
}
