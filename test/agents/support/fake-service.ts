/** The service's part of a round in memory: for what agents do when the service or the connection behaves in some way. */
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import type { FleetApi, RoundSummary, UploadProgress } from '../../../lib/agents/api/fleet-api.js';
import type { HalfCohort, WorkItem } from '../../../lib/agents/api/work-items.js';
import { ApiRefusedError } from '../../../lib/agents/http/api-errors.js';
import { openRole } from '../../../lib/custody/role-directory.js';
import { readTrustedPlan } from '../../../lib/custody/trusted-plan.js';
import { EnvironmentError } from '../../../lib/errors.js';
import type { CustodyStatus } from '../../../lib/observability/custody-status.js';
import type { OpeningReport } from '../../../lib/observability/opening-report.js';
import type { RobotReport } from '../../../lib/observability/robot-report.js';
import { setDigest } from '../../../lib/package/fingerprint.js';
import { openContainer } from '../../../lib/package/reader.js';
import { aggregateUpdates } from '../../../lib/round/aggregate.js';
import { type ServedTestFleet, smallPolicy } from '../../server/support/served-fleet.js';

type Call = keyof FleetApi;

export class FakeService implements FleetApi {
  items: WorkItem[] = [];
  listed: RoundSummary[] = [];
  readonly calls: Call[] = [];
  readonly plans = new Map<string, Uint8Array>();
  /** By plan, then by update. */
  readonly updates = new Map<string, Map<string, Uint8Array>>();
  /** By fingerprint. */
  readonly partialSums = new Map<string, Uint8Array>();
  readonly aggregates = new Map<string, string>();
  /** By plan and custodian. */
  readonly answers = new Map<string, Uint8Array[]>();
  readonly refusals: { custodian: string; code: string; reason: string }[] = [];
  readonly closes = new Map<string, Uint8Array>();
  readonly enrolments: Uint8Array[] = [];
  readonly cohorts = new Map<string, HalfCohort>();
  readonly releases: number[] = [];
  readonly verdicts: string[] = [];
  readonly rollouts: number[] = [];
  readonly reports: RobotReport[] = [];
  readonly openings = new Map<string, OpeningReport>();
  readonly custodyStatuses: CustodyStatus[] = [];
  newestRoster: Uint8Array | undefined;
  #broken = new Map<Call, number>();

  /** The connection breaks at the next calls of this kind, before or after the service has done its part. */
  breakAt(call: Call, times = 1): void {
    this.#broken.set(call, times);
  }

  mend(): void {
    this.#broken.clear();
  }

  async work(): Promise<readonly WorkItem[]> {
    this.#called('work');
    return this.items;
  }

  async roster(): Promise<Uint8Array | undefined> {
    this.#called('roster');
    return this.newestRoster;
  }

  async putRoster(file: Uint8Array): Promise<void> {
    this.#called('putRoster');
    this.newestRoster = file;
  }

  async enrol(enrolment: Uint8Array): Promise<void> {
    this.#called('enrol');
    this.enrolments.push(enrolment);
  }

  async plan(plan: string): Promise<Uint8Array> {
    this.#called('plan');
    return this.#found(this.plans.get(plan));
  }

  async putPlan(plan: string, file: Uint8Array): Promise<void> {
    this.#called('putPlan');
    this.plans.set(plan, file);
  }

  async putCohort(cohort: string, half: HalfCohort): Promise<void> {
    this.#called('putCohort');
    this.cohorts.set(cohort, half);
  }

  async rounds(): Promise<readonly RoundSummary[]> {
    this.#called('rounds');
    return this.listed;
  }

  async uploadProgress(plan: string, update: string): Promise<UploadProgress | undefined> {
    this.#called('uploadProgress');
    return this.updates.get(plan)?.has(update) ? { state: 'received', missing: [] } : undefined;
  }

  async putUpdate(plan: string, update: string, path: string): Promise<UploadProgress> {
    this.#called('putUpdate');
    const updates = this.updates.get(plan) ?? new Map<string, Uint8Array>();
    updates.set(update, Uint8Array.from(await readFile(path)));
    this.updates.set(plan, updates);
    return { state: 'received', missing: [] };
  }

  async putEnvelope(): Promise<UploadProgress> {
    this.#called('putEnvelope');
    return { state: 'incomplete', missing: [] };
  }

  async putChunk(): Promise<void> {
    this.#called('putChunk');
  }

  async completeUpload(): Promise<UploadProgress> {
    this.#called('completeUpload');
    return { state: 'received', missing: [] };
  }

  async downloadUpdate(plan: string, update: string, out: string): Promise<void> {
    this.#called('downloadUpdate');
    await writeFile(out, this.#found(this.updates.get(plan)?.get(update)));
  }

  async putPartialSum(_plan: string, partialSum: string, path: string): Promise<void> {
    this.#called('putPartialSum');
    this.partialSums.set(partialSum, await readFile(path));
  }

  async downloadPartialSum(_plan: string, partialSum: string, out: string): Promise<void> {
    this.#called('downloadPartialSum');
    await writeFile(out, this.#found(this.partialSums.get(partialSum)));
  }

  async downloadAggregate(plan: string, out: string): Promise<void> {
    this.#called('downloadAggregate');
    await copyFile(this.#found(this.aggregates.get(plan)), out);
  }

  async putAnswer(plan: string, custodian: string, answer: Uint8Array): Promise<void> {
    const key = `${plan} ${custodian}`;
    this.answers.set(key, [...(this.answers.get(key) ?? []), answer]);
    // As when the answer's answer is lost.
    this.#called('putAnswer');
  }

  async refuseAnswer(_plan: string, custodian: string, code: string, reason: string): Promise<void> {
    this.#called('refuseAnswer');
    this.refusals.push({ custodian, code, reason });
  }

  async answer(plan: string, custodian: string): Promise<Uint8Array> {
    this.#called('answer');
    return this.#found(this.answers.get(`${plan} ${custodian}`)?.at(-1));
  }

  async putOpening(plan: string, report: OpeningReport): Promise<void> {
    this.#called('putOpening');
    this.openings.set(plan, report);
  }

  async putReport(report: RobotReport): Promise<void> {
    this.#called('putReport');
    this.reports.push(report);
  }

  async putCustodyStatus(_custodian: string, status: CustodyStatus): Promise<void> {
    this.#called('putCustodyStatus');
    this.custodyStatuses.push(status);
  }

  async close(plan: string): Promise<Uint8Array | undefined> {
    this.#called('close');
    return this.closes.get(plan);
  }

  async putClose(plan: string, record: Uint8Array): Promise<void> {
    this.#called('putClose');
    this.closes.set(plan, record);
  }

  async downloadRelease(): Promise<boolean> {
    this.#called('downloadRelease');
    return false;
  }

  async putRelease(counter: number): Promise<void> {
    this.#called('putRelease');
    this.releases.push(counter);
  }

  async putVerdict(fingerprint: string): Promise<void> {
    this.#called('putVerdict');
    this.verdicts.push(fingerprint);
  }

  async startRollout(counter: number): Promise<void> {
    this.#called('startRollout');
    this.rollouts.push(counter);
  }

  count(call: Call): number {
    return this.calls.filter((each) => each === call).length;
  }

  #called(call: Call): void {
    this.calls.push(call);
    const left = this.#broken.get(call) ?? 0;
    if (left === 0) return;
    this.#broken.set(call, left - 1);
    throw new EnvironmentError('http.unreachable', `no network for ${call}`);
  }

  #found<T>(value: T | undefined): T {
    if (value !== undefined) return value;
    throw new ApiRefusedError('request.not-found', 'There is no such thing here.', 404);
  }
}

/** Sums updates as the service does. @returns fingerprint of the aggregate and of its set, in hexadecimal */
export async function sumUpdates(
  fleet: ServedTestFleet,
  planPath: string,
  updates: readonly string[],
  out: string,
): Promise<{ readonly aggregate: string; readonly set: string }> {
  const role = await openRole(fleet.role('aggregator'), 'aggregator');
  role.close();
  const plan = await readTrustedPlan(planPath, role.roster);
  const { id: aggregatorId, signing } = role;
  await aggregateUpdates({ plan, policy: smallPolicy(), aggregatorId, signing, updates, out });
  const container = await openContainer(out, 'aggregate');
  await container.close();
  const { accepted } = container.body;
  const set = setDigest(accepted.map(({ update }) => update));
  return {
    aggregate: Buffer.from(container.fingerprint).toString('hex'),
    set: Buffer.from(set).toString('hex'),
  };
}
