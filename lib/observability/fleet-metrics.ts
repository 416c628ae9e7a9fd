/**
 * What Prometheus scrapes of a server. No label has a client's name or anything else that grows with the fleet: of clients there
 * are counts, and the worst of them. `/v1/clients` says which one it is.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { BoundedLabel } from './bounded-label.js';
import type { LatencyStage } from './latency-stages.js';
import { REQUEST_BUCKETS_SECONDS, STAGE_BUCKETS_SECONDS } from './metric-names.js';
import type { RecordSink } from './record-sink.js';
import type { TelemetryRecord } from './records.js';
import type { RobotReport } from './robot-report.js';

const MAX_POLICIES = 32;
const MAX_OUTCOMES = 16;
/** Gauges that prom-client names as only counters may be named (`promtool check metrics`). */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
] as const;

/** What all servers of a store have in common, as it is at a scrape. */
export interface FleetState {
  readonly clients: Readonly<Record<'active' | 'suspended' | 'revoked', number>>;
  /** Active clients that made a request within the last five minutes. */
  readonly clientsSeen: number;
  readonly openRounds: number;
  readonly stuckRounds: number;
  readonly budgets: readonly {
    readonly policy: string;
    /** The highest share of its budget that a site has spent. */
    readonly highestShare: number;
    readonly exhaustedSites: number;
  }[];
  readonly custodians: {
    readonly enrolled: number;
    /** That have reported within the last hour. */
    readonly reporting: number;
    readonly openBreakGlass: number;
    readonly brokenAuditTrails: number;
    readonly overdueRotations: number;
  };
}

export interface RequestMeasured {
  readonly method: string;
  /** As the route is written, with its parameters' names. */
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
}

export interface UpdateBytes {
  readonly original: number | undefined;
  readonly compressed: number;
  readonly wire: number;
}

export class FleetMetrics implements RecordSink {
  readonly name = 'metrics';
  readonly registry = new Registry();
  readonly #policies = new BoundedLabel(MAX_POLICIES);
  readonly #outcomes = new BoundedLabel(MAX_OUTCOMES);

  readonly #stages = this.#histogram(
    'tensorguard_stage_duration_seconds',
    'How long stages of rounds took: train, compress, encrypt (signed headers), upload, apply (robots), aggregate (this server), decrypt (owner)',
    ['stage'],
    STAGE_BUCKETS_SECONDS,
  );
  readonly #requests = this.#histogram(
    'tensorguard_http_request_duration_seconds',
    'How long requests took to answer, by route',
    ['route'],
    REQUEST_BUCKETS_SECONDS,
  );
  readonly #answers = this.#counter('tensorguard_http_requests_total', 'Requests that were answered', [
    'method',
    'status',
  ]);
  readonly #received = this.#counter('tensorguard_updates_received_total', 'Updates that rounds took', [
    'policy',
  ]);
  readonly #refused = this.#counter('tensorguard_updates_refused_total', 'Updates that rounds refused', [
    'policy',
  ]);
  readonly #aggregated = this.#counter('tensorguard_updates_aggregated_total', 'Updates in sums', ['policy']);
  readonly #bytes = this.#counter(
    'tensorguard_update_bytes_total',
    'Bytes of the updates in sums: of the tensors (original), of ciphertexts (compressed), of files (wire)',
    ['part'],
  );
  readonly #rounds = this.#counter('tensorguard_rounds_ended_total', 'Rounds that ended, and how', [
    'policy',
    'outcome',
  ]);
  readonly #reports = this.#counter('tensorguard_robot_reports_total', 'Reports of robots that were taken', [
    'policy',
  ]);
  readonly #episodes = this.#counter('tensorguard_episodes_total', 'Episodes that robots reported', [
    'policy',
    'result',
  ]);
  readonly #violations = this.#counter(
    'tensorguard_episode_violations_total',
    'Episodes in which a constraint was violated',
    ['policy'],
  );
  readonly #alerts = this.#counter('tensorguard_alerts_total', 'Alert records', ['name']);
  readonly #dropped = this.#counter(
    'tensorguard_records_dropped_total',
    'Records that an output did not take',
    ['output'],
  );
  readonly #clients = this.#gauge('tensorguard_clients', 'Clients of the roster, by their standing in it', [
    'standing',
  ]);
  readonly #clientsSeen = this.#gauge(
    'tensorguard_clients_seen',
    'Active clients that made a request within the last five minutes',
  );
  readonly #openRounds = this.#gauge('tensorguard_rounds_open', 'Rounds that have not ended');
  readonly #stuckRounds = this.#gauge(
    'tensorguard_rounds_stuck',
    'Rounds that wait for longer than they should',
  );
  readonly #budgetShare = this.#gauge(
    'tensorguard_privacy_budget_used_ratio',
    'The highest share of its privacy budget that a site has spent',
    ['policy'],
  );
  readonly #exhausted = this.#gauge(
    'tensorguard_privacy_budgets_exhausted',
    'Sites that have spent their privacy budget',
    ['policy'],
  );
  readonly #custodians = this.#gauge('tensorguard_custodians', 'Custodians of the roster');
  readonly #custodiansReporting = this.#gauge(
    'tensorguard_custodians_reporting',
    'Custodians whose agent has reported within the last hour',
  );
  readonly #breakGlass = this.#gauge(
    'tensorguard_custody_break_glass_open',
    'Uses of break-glass that no officer has closed',
  );
  readonly #auditTrails = this.#gauge(
    'tensorguard_custody_audit_trails_broken',
    'Custodians whose audit trail is not whole',
  );
  readonly #rotations = this.#gauge(
    'tensorguard_custody_rotations_overdue',
    'Custodians whose key should have been replaced',
  );

  constructor(version: string) {
    collectDefaultMetrics({ register: this.registry });
    for (const name of MISNAMED) this.registry.removeSingleMetric(name);
    this.#gauge('tensorguard_build_info', 'Version of the server', ['version']).set({ version }, 1);
  }

  stage(stage: LatencyStage, milliseconds: number): void {
    this.#stages.observe({ stage }, milliseconds / 1000);
  }

  request({ method, route, status, seconds }: RequestMeasured): void {
    this.#requests.observe({ route }, seconds);
    this.#answers.inc({ method, status: String(status) });
  }

  updates(policy: string, received: number, refused: number): void {
    if (received > 0) this.#received.inc({ policy: this.#policies.of(policy) }, received);
    if (refused > 0) this.#refused.inc({ policy: this.#policies.of(policy) }, refused);
  }

  aggregated(policy: string, updates: readonly UpdateBytes[]): void {
    this.#aggregated.inc({ policy: this.#policies.of(policy) }, updates.length);
    for (const { original, compressed, wire } of updates) {
      if (original !== undefined) this.#bytes.inc({ part: 'original' }, original);
      this.#bytes.inc({ part: 'compressed' }, compressed);
      this.#bytes.inc({ part: 'wire' }, wire);
    }
  }

  roundEnded(policy: string, outcome: string): void {
    this.#rounds.inc({ policy: this.#policies.of(policy), outcome: this.#outcomes.of(outcome) });
  }

  reported({ policy: name, episodes, latenciesMs }: RobotReport): void {
    const policy = this.#policies.of(name);
    this.#reports.inc({ policy });
    if (episodes !== undefined) {
      this.#episodes.inc({ policy, result: 'success' }, episodes.successes);
      this.#episodes.inc({ policy, result: 'failure' }, episodes.episodes - episodes.successes);
      this.#violations.inc({ policy }, episodes.violations);
    }
    for (const stage of ['upload', 'apply'] as const) {
      const milliseconds = latenciesMs?.[stage];
      if (milliseconds !== undefined) this.stage(stage, milliseconds);
    }
  }

  dropped(output: string, count: number): void {
    this.#dropped.inc({ output }, count);
  }

  put(record: TelemetryRecord): void {
    if (record.kind === 'alert') this.#alerts.inc({ name: record.name });
  }

  async close(): Promise<void> {
    this.registry.clear();
  }

  set(state: FleetState): void {
    const { clients, clientsSeen, openRounds, stuckRounds, budgets, custodians } = state;
    for (const [standing, count] of Object.entries(clients)) this.#clients.set({ standing }, count);
    this.#clientsSeen.set(clientsSeen);
    this.#openRounds.set(openRounds);
    this.#stuckRounds.set(stuckRounds);
    this.#budgetShare.reset();
    this.#exhausted.reset();
    for (const { policy, highestShare, exhaustedSites } of budgets.slice(0, MAX_POLICIES)) {
      this.#budgetShare.set({ policy }, highestShare);
      this.#exhausted.set({ policy }, exhaustedSites);
    }
    this.#custodians.set(custodians.enrolled);
    this.#custodiansReporting.set(custodians.reporting);
    this.#breakGlass.set(custodians.openBreakGlass);
    this.#auditTrails.set(custodians.brokenAuditTrails);
    this.#rotations.set(custodians.overdueRotations);
  }

  #counter<Label extends string>(name: string, help: string, labelNames: Label[] = []): Counter<Label> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }

  #gauge<Label extends string>(name: string, help: string, labelNames: Label[] = []): Gauge<Label> {
    return new Gauge({ name, help, labelNames, registers: [this.registry] });
  }

  #histogram<Label extends string>(
    name: string,
    help: string,
    labelNames: Label[],
    buckets: readonly number[],
  ): Histogram<Label> {
    return new Histogram({ name, help, labelNames, buckets: [...buckets], registers: [this.registry] });
  }
}
