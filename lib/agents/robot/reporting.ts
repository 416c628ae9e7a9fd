/**
 * What a robot's agent reports of itself: the release that it put in place, what came of its episodes, how long its part of a round
 * took, and what the site has spent. A report is on the disk, under its number, before it is sent; until the service has it, the
 * same one is sent again, so that nothing counts twice and no number has two reports.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { hex } from '../../custody/fields.js';
import { openReleaseState } from '../../custody/release/release-state.js';
import { RefusedError } from '../../errors.js';
import {
  ROBOT_REPORT_SCHEMA_VERSION,
  type RobotReport,
  robotReportSchema,
} from '../../observability/robot-report.js';
import { openPrivacyLedger } from '../../privacy/privacy-ledger.js';
import type { ClientOptions } from '../../round/client-directory.js';
import { readRolePolicy } from '../../round/role-policy.js';
import { budgetOf, PRIVACY_LEDGER_FILE } from '../../round/round-privacy.js';
import { type AgentDirectory, readRecord, writeRecord } from '../agent-directory.js';
import type { AgentLog } from '../agent-log.js';
import type { FleetApi } from '../api/fleet-api.js';
import { currentRoster } from '../roster-sync.js';
import { holdsAdapter } from './snapshots.js';
import { TelemetryFiles } from './telemetry-files.js';

/** The same again is sent this often: a service that lost its store learns of it. */
const REPEAT_MS = 600_000;
const RECORD_FILE = 'report.json';

const recordSchema = z.strictObject({
  /** Of the last report that was made. */
  sequence: z.int().min(0),
  /** One that the service may not have, and the files whose counts are in it. */
  pending: z.strictObject({ report: robotReportSchema, files: z.array(z.string()) }).optional(),
  /** Of the last update that was sealed, as far as a report had it. */
  ...robotReportSchema.pick({ sealed: true, experts: true }).shape,
});

/** Refusals that sending again cannot lift: the number is taken, and the next report has another. */
const FINAL_REFUSALS: ReadonlySet<string> = new Set([
  'report.equivocation',
  'report.older',
  'request.invalid',
]);

export interface ReportOptions {
  readonly clientDirectory: string;
  readonly client: string;
  readonly policy: string;
  readonly releaseDirectory: string | undefined;
  readonly rolePolicy: ClientOptions;
}

type Content = Omit<RobotReport, 'schema' | 'client' | 'sequence' | 'atMs'>;
/** What describes the last update is in every report, since the last one is what is looked at. */
type Described = Pick<RobotReport, 'sealed' | 'experts'>;
/** Each of these is reported once, or it would count twice. */
type Measured = Pick<RobotReport, 'latenciesMs' | 'residualNorm'>;

export class RobotReports {
  /** What no report has yet. */
  #measured: Measured = {};
  /** Since this process sealed one. */
  #described: Described | undefined;
  readonly #telemetry: TelemetryFiles | undefined;
  /** What was last said to run, for the log. */
  #toldCounter: number | undefined;
  #sent: { readonly content: string; readonly atMs: number } | undefined;

  constructor(
    private readonly directory: AgentDirectory,
    telemetryDirectory: string | undefined,
    private readonly log: AgentLog,
  ) {
    if (telemetryDirectory === undefined) return;
    this.#telemetry = new TelemetryFiles(telemetryDirectory, ({ file, message }) =>
      log.write('warn', 'robot.telemetry-refused', { file, message }),
    );
  }

  /** Of an update that was sealed just now. */
  sealed({ latenciesMs, ...described }: Described & Pick<Measured, 'latenciesMs'>): void {
    this.#described = described;
    if (latenciesMs !== undefined) this.#tookAll(latenciesMs);
  }

  keeps(residualNorm: number): void {
    this.#measured = { ...this.#measured, residualNorm };
  }

  took(stage: 'upload' | 'apply', milliseconds: number): void {
    this.#tookAll({ [stage]: milliseconds });
  }

  #tookAll(latenciesMs: Measured['latenciesMs']): void {
    this.#measured = {
      ...this.#measured,
      latenciesMs: { ...this.#measured.latenciesMs, ...latenciesMs },
    };
  }

  /** Sends a report, if there is something new to say. @throws what the API throws; as the readers of the client's records */
  async send(api: Pick<FleetApi, 'putReport'>, options: ReportOptions, nowMs: number): Promise<void> {
    const path = join(this.directory.path, RECORD_FILE);
    const last = await readRecord(path, recordSchema);
    await this.#sendPending(api, path, last);
    const taken = await this.#telemetry?.take();
    const described = this.#described ?? descriptionIn(last);
    const standing = { ...(await standingOf(options)), ...described };
    const content: Content = { ...standing, ...this.#measured };
    const text = JSON.stringify(content);
    const isSame = this.#sent?.content === text && nowMs - this.#sent.atMs < REPEAT_MS;
    if (isSame && taken === undefined) return;
    // Upwards even where the record is lost. Written first: a number that is used up is used once.
    const sequence = Math.max((last?.sequence ?? -1) + 1, nowMs);
    const report: RobotReport = {
      ...{ schema: ROBOT_REPORT_SCHEMA_VERSION, client: options.client, sequence, atMs: nowMs, ...content },
      ...(taken !== undefined && { episodes: taken.counts }),
    };
    const record = { sequence, pending: { report, files: [...(taken?.files ?? [])] }, ...described };
    await writeRecord(path, record);
    this.#measured = {};
    await this.#sendPending(api, path, record);
    this.#sent = { content: JSON.stringify(standing), atMs: nowMs };
  }

  async #sendPending(
    api: Pick<FleetApi, 'putReport'>,
    path: string,
    record: z.infer<typeof recordSchema> | undefined,
  ): Promise<void> {
    if (record?.pending === undefined) return;
    const { report, files } = record.pending;
    // Their counts are in the report, on the disk.
    await this.#telemetry?.remove(files);
    try {
      await api.putReport(report);
    } catch (error) {
      if (!(error instanceof RefusedError) || !FINAL_REFUSALS.has(error.code)) throw error;
      this.log.write('warn', 'robot.report-refused', { sequence: report.sequence, code: error.code });
    }
    await writeRecord(path, { sequence: record.sequence, ...descriptionIn(record) });
    const { runs, episodes, sequence } = report;
    if (episodes !== undefined || runs?.counter !== this.#toldCounter) {
      this.log.write('info', 'robot.reported', {
        sequence,
        counter: runs?.counter,
        episodes: episodes?.episodes,
      });
    }
    this.#toldCounter = runs?.counter;
  }
}

function descriptionIn(record: z.infer<typeof recordSchema> | undefined): Described {
  const { sealed, experts } = record ?? {};
  return { ...(sealed !== undefined && { sealed }), ...(experts !== undefined && { experts }) };
}

async function standingOf(options: ReportOptions): Promise<Content> {
  const [runs, privacy] = [await runningRelease(options), await spentPrivacy(options)];
  return {
    policy: options.policy,
    ...(runs !== undefined && { runs }),
    ...(privacy !== undefined && { privacy }),
  };
}

async function runningRelease({
  clientDirectory,
  policy,
  releaseDirectory,
}: ReportOptions): Promise<Content['runs']> {
  if (releaseDirectory === undefined || !(await holdsAdapter(releaseDirectory))) return undefined;
  const { fleet } = (await currentRoster(clientDirectory)).body;
  const state = await openReleaseState(clientDirectory);
  try {
    const newest = state
      .taken(fleet, policy)
      .toSorted((a, b) => a.counter - b.counter)
      .at(-1);
    return newest && { counter: newest.counter, adapterFingerprint: hex(newest.adapterFingerprint) };
  } finally {
    state.close();
  }
}

/** Absent where the site has released nothing, and where no bound can be proved. */
async function spentPrivacy({ clientDirectory, rolePolicy }: ReportOptions): Promise<Content['privacy']> {
  const path = rolePolicy.privacyLedger ?? join(clientDirectory, PRIVACY_LEDGER_FILE);
  if (!existsSync(path)) return undefined;
  const budget = budgetOf((await readRolePolicy(clientDirectory, rolePolicy)).policy);
  const ledger = await openPrivacyLedger(path);
  try {
    const { epsilonSpent, releases } = ledger.status({ budget });
    if (releases === 0 || !Number.isFinite(epsilonSpent)) return undefined;
    return { epsilonSpent, epsilonBudget: budget.epsilon, delta: budget.delta, rounds: releases };
  } finally {
    ledger.close();
  }
}
