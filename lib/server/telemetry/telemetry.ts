/** What the service observes: of rounds, robots and custodians, from where it happens to whoever looks. */
import { randomBytes } from 'node:crypto';
import type { CustodyStatus } from '../../observability/custody-status.js';
import { FleetMetrics } from '../../observability/fleet-metrics.js';
import type { OpeningReport } from '../../observability/opening-report.js';
import { RECORD_SCHEMA_VERSION, type RoundOfRecord } from '../../observability/record-fields.js';
import { privacyRecordOf, ReportDigest } from '../../observability/report-digest.js';
import type { RobotReport } from '../../observability/robot-report.js';
import { NO_TRACING, type RoundTracing } from '../../observability/tracing.js';
import type { RolloutState } from '../../rollout/state.js';
import { hasEnded } from '../../round/machine/phases.js';
import { type RoundState, sentUpdates } from '../../round/machine/state.js';
import type { StateStore } from '../../store/store.js';
import type { StoredAlert } from '../rollouts/alerts.js';
import { CustodyBook } from './custody-book.js';
import { LastSeen } from './last-seen.js';
import { RecordBook } from './record-book.js';
import { Recorder } from './recorder.js';
import { rolloutRecord } from './rollout-records.js';
import {
  openingLatency,
  roundRecord,
  type Summed,
  summedCompression,
  summedLatency,
} from './round-records.js';
import { StoredRecords } from './stored-records.js';

export interface TelemetryOptions {
  readonly state: StateStore;
  /** Of the package. */
  readonly version: string;
  readonly onError: (error: unknown) => void;
  readonly tracing?: RoundTracing;
  /** How often what comes in all the time is taken together and stored. */
  readonly intervalMs?: number;
  readonly now?: () => number;
}

const INTERVAL_MS = 60_000;

export class Telemetry {
  readonly records: RecordBook;
  readonly recorder: Recorder;
  readonly metrics: FleetMetrics;
  readonly custody: CustodyBook;
  readonly lastSeen: LastSeen;
  readonly #digest = new ReportDigest(`s${process.pid}-${randomBytes(4).toString('hex')}`);
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: TelemetryOptions) {
    const { state, onError, now = Date.now } = options;
    this.#now = now;
    this.records = new RecordBook(state);
    this.recorder = new Recorder(now);
    this.metrics = new FleetMetrics(options.version);
    this.recorder.add(this.metrics);
    this.custody = new CustodyBook(state);
    this.lastSeen = new LastSeen(state, now);
    this.recorder.add(
      new StoredRecords(this.records, {
        onError,
        onDropped: (count) => this.dropped('store', count),
      }),
    );
  }

  start(): void {
    const { onError, intervalMs = INTERVAL_MS } = this.options;
    this.#timer ??= setInterval(() => {
      this.#takeTogether();
      this.lastSeen.flush().catch(onError);
    }, intervalMs);
    this.#timer.unref();
  }

  roundChanged(plan: string, before: RoundState | undefined, after: RoundState): void {
    // Between phases it changes with every update: events say that, and counters.
    const isNew = before?.phase !== after.phase || (before?.close === undefined && after.close !== undefined);
    if (isNew) this.recorder.put(roundRecord(plan, after, this.#now()));
    this.#trace(plan, before, after);
    const { policy } = after.settings.key;
    const sent = (state: RoundState | undefined): number =>
      state === undefined ? 0 : sentUpdates(state).length;
    const refused = (state: RoundState | undefined): number =>
      state === undefined ? 0 : state.refusals.length + state.unlistedRefusals;
    this.metrics.updates(policy, sent(after) - sent(before), refused(after) - refused(before));
    // Released is after it has ended; opened after it failed is another end.
    if (after.phase !== before?.phase && hasEnded(after.phase) && after.phase !== 'released') {
      this.metrics.roundEnded(
        policy,
        after.phase === 'failed' ? (after.failure?.code ?? 'failed') : after.phase,
      );
    }
  }

  rolloutChanged(before: RolloutState | undefined, after: RolloutState): void {
    const record = rolloutRecord(before, after, this.#now());
    if (record !== undefined) this.recorder.put(record);
  }

  summed(summed: Summed): void {
    this.recorder.put(summedLatency(summed, this.#now()));
    const compression = summedCompression(summed, this.#now());
    if (compression !== undefined) this.recorder.put(compression);
    const endMs = this.#now();
    const startMs = endMs - Math.round(summed.milliseconds);
    const attributes = { updates: summed.updates.length };
    this.#tracing.span({ plan: summed.plan, name: 'aggregate', startMs, endMs, attributes });
    const { metrics } = this;
    metrics.stage('aggregate', summed.milliseconds);
    for (const { timingsMs } of summed.updates) {
      for (const stage of ['train', 'compress', 'encrypt'] as const) {
        const milliseconds = timingsMs?.[stage];
        if (milliseconds !== undefined) metrics.stage(stage, milliseconds);
      }
    }
    metrics.aggregated(
      summed.trusted.body.policy,
      summed.updates.map((update) => ({
        original: update.originalBytes,
        compressed: update.ciphertextBytes,
        wire: update.fileBytes,
      })),
    );
  }

  opened(round: RoundOfRecord, report: OpeningReport): void {
    this.recorder.put(openingLatency(round, report, this.#now()));
    this.metrics.stage('decrypt', report.decryptMs);
  }

  /** @param report one that was not taken before */
  reported(report: RobotReport, before: RobotReport | undefined): void {
    this.#digest.add(report);
    this.metrics.reported(report);
    const privacy = privacyRecordOf(report, this.#now());
    const isOld = JSON.stringify(before?.privacy) === JSON.stringify(report.privacy);
    if (privacy !== undefined && !isOld) this.recorder.put(privacy);
  }

  async custodianReported(custodian: string, status: CustodyStatus): Promise<void> {
    const atMs = this.#now();
    if (!(await this.custody.put(custodian, status, atMs))) return;
    const id = `custody.${custodian}.${status.audit.head}`;
    this.recorder.put({ kind: 'custody', schema: RECORD_SCHEMA_VERSION, id, atMs, custodian, status });
  }

  dropped(output: string, count: number): void {
    this.metrics.dropped(output, count);
    this.recorder.dropped(output, count);
  }

  rolloutAlert(policy: string, { number, atMs, message }: StoredAlert): void {
    this.recorder.put({
      ...{ kind: 'alert', schema: RECORD_SCHEMA_VERSION, id: `alert.rollout.${policy}.${number}`, atMs },
      ...{ name: 'rollout', severity: 'warning', policy, message: message.replace(/\p{Cc}+/gu, ' ') },
    });
  }

  /** Writes what was taken. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#takeTogether();
    await this.lastSeen.flush().catch(this.options.onError);
    await this.recorder.close();
    await this.#tracing.close();
  }

  get #tracing(): RoundTracing {
    return this.options.tracing ?? NO_TRACING;
  }

  #trace(plan: string, before: RoundState | undefined, after: RoundState): void {
    const { enteredAtMs, settings, failure, close } = after;
    const { open, 'sealed-off': sealed } = enteredAtMs;
    if (before?.phase !== after.phase && after.phase === 'sealed-off' && open !== undefined) {
      const attributes = { updates: sentUpdates(after).length };
      this.#tracing.span({ plan, name: 'receive', startMs: open, endMs: sealed ?? this.#now(), attributes });
    }
    // With the owner's last word the round is over, and its span has an end.
    if (before?.close !== undefined || close === undefined) return;
    this.#tracing.span({
      ...{ plan, name: 'round', isRoot: true, startMs: settings.opensAtMs, endMs: this.#now() },
      attributes: { ...settings.key, opened: close.opened },
      ...(!close.opened && { failure: failure?.code ?? 'closed-unopened' }),
    });
  }

  #takeTogether(): void {
    for (const record of this.#digest.take(this.#now())) this.recorder.put(record);
  }
}
