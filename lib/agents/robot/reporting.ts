/**
 * What a robot's agent reports of itself: the release that it put in place, how long sending and applying took, and what the site
 * has spent. Episodes are for whoever runs the policy to report, under numbers of the same sequence.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { hex } from '../../custody/fields.js';
import { openReleaseState } from '../../custody/release/release-state.js';
import { ROBOT_REPORT_SCHEMA_VERSION, type RobotReport } from '../../observability/robot-report.js';
import { openPrivacyLedger } from '../../privacy/privacy-ledger.js';
import type { ClientOptions } from '../../round/client-directory.js';
import { readRolePolicy } from '../../round/role-policy.js';
import { budgetOf, PRIVACY_LEDGER_FILE } from '../../round/round-privacy.js';
import { type AgentDirectory, readRecord, writeRecord } from '../agent-directory.js';
import type { FleetApi } from '../api/fleet-api.js';
import { currentRoster } from '../roster-sync.js';
import { holdsAdapter } from './snapshots.js';

/** The same again is sent this often: a service that lost its store learns of it. */
const REPEAT_MS = 600_000;
const RECORD_FILE = 'report.json';

const recordSchema = z.strictObject({ sequence: z.int().min(0) });

export interface ReportOptions {
  readonly clientDirectory: string;
  readonly client: string;
  readonly policy: string;
  readonly releaseDirectory: string | undefined;
  readonly rolePolicy: ClientOptions;
}

type Content = Omit<RobotReport, 'schema' | 'client' | 'sequence' | 'atMs'>;

export class RobotReports {
  readonly #latenciesMs: { upload?: number; apply?: number } = {};
  #sent: { readonly content: string; readonly atMs: number } | undefined;

  constructor(private readonly directory: AgentDirectory) {}

  took(stage: 'upload' | 'apply', milliseconds: number): void {
    this.#latenciesMs[stage] = milliseconds;
  }

  /** Sends a report, if there is something new to say. @throws what the API throws; as the readers of the client's records */
  async send(api: Pick<FleetApi, 'putReport'>, options: ReportOptions, nowMs: number): Promise<void> {
    const content = await this.#content(options);
    const text = JSON.stringify(content);
    if (this.#sent?.content === text && nowMs - this.#sent.atMs < REPEAT_MS) return;
    const path = join(this.directory.path, RECORD_FILE);
    const last = await readRecord(path, recordSchema);
    // Upwards even where the record is lost. Written first: a number that is used up is used once.
    const sequence = Math.max((last?.sequence ?? -1) + 1, nowMs);
    await writeRecord(path, { sequence });
    const { client } = options;
    await api.putReport({ schema: ROBOT_REPORT_SCHEMA_VERSION, client, sequence, atMs: nowMs, ...content });
    // Each measurement is reported once, or it would count twice.
    delete this.#latenciesMs.upload;
    delete this.#latenciesMs.apply;
    this.#sent = { content: JSON.stringify({ ...content, latenciesMs: undefined }), atMs: nowMs };
  }

  async #content(options: ReportOptions): Promise<Content> {
    const { policy } = options;
    const [runs, privacy] = [await runningRelease(options), await spentPrivacy(options)];
    const measured = Object.keys(this.#latenciesMs).length > 0;
    return {
      policy,
      ...(runs !== undefined && { runs }),
      ...(privacy !== undefined && { privacy }),
      ...(measured && { latenciesMs: { ...this.#latenciesMs } }),
    };
  }
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
