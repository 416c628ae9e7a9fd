/**
 * What runs beside the trainer on a robot: it takes what was trained, seals it for the open round, sends it, learns what
 * became of it, and fetches what the owner releases.
 *
 * Nothing here decides whether a delta may be sealed: the client's own record does, and refuses whatever would put one
 * training into two averages. So every step may be cut off anywhere and be repeated.
 */
import { readTrainingMetadata } from '../../adapter/training-metadata.js';
import { hex } from '../../custody/fields.js';
import { NO_TRACING, type RoundTracing, traced } from '../../observability/tracing.js';
import type { ClientOptions } from '../../round/client-directory.js';
import type { AgentDirectory } from '../agent-directory.js';
import type { AgentLog } from '../agent-log.js';
import type { FleetApi } from '../api/fleet-api.js';
import { type UploadApi, uploadUpdate } from '../api/upload.js';
import { type ItemOf, itemsOf, type WorkItem } from '../api/work-items.js';
import { SiteUpdates } from '../gateway/site-updates.js';
import { attemptItem } from '../items.js';
import type { RetrySchedule } from '../retry-schedule.js';
import { currentRoster, type RosterSync } from '../roster-sync.js';
import { AdapterSource, type StableAdapter } from './adapter-source.js';
import { ClosedRounds, takeCloseRecord } from './close-records.js';
import { takeNewestRelease } from './release-taker.js';
import { RobotReports } from './reporting.js';
import { measureUpdate, residualNormOf } from './seal-measurements.js';
import { type SealedSnapshot, sealForPlan } from './sealing.js';
import { SentUpdates } from './sent-updates.js';
import { holdsAdapter, type Snapshot, Snapshots } from './snapshots.js';

export interface RobotOptions {
  /** The client's directory. */
  readonly clientDirectory: string;
  /** Where the trainer writes its adapter. */
  readonly adapterDirectory: string;
  /** The adapter that training starts from until there is a release; absent where the adapter itself is the delta. */
  readonly baseDirectory?: string | undefined;
  /** What is known of the training (.json), beside what the trainer leaves. */
  readonly trainingFile?: string | undefined;
  /** Where releases are put; absent to fetch none. */
  readonly releaseDirectory?: string | undefined;
  /** Where the controller leaves counts of its episodes; absent where it leaves none. */
  readonly telemetryDirectory?: string | undefined;
  /** The policy whose releases are fetched and whose rounds are joined; needed where the fleet has several. */
  readonly policyName?: string | undefined;
  /** Where updates are left for the site's gateway, which sends them; absent to send them from here. */
  readonly gatewayUpdatesDirectory?: string | undefined;
  readonly quietMs?: number;
  readonly client?: ClientOptions;
}

export interface RobotDependencies {
  readonly api: UploadApi & Pick<FleetApi, 'work' | 'plan' | 'close' | 'downloadRelease' | 'putReport'>;
  /** The client's, to report under; absent: it reports nothing. */
  readonly id?: string;
  readonly directory: AgentDirectory;
  readonly roster: Pick<RosterSync, 'sync'>;
  readonly log: AgentLog;
  readonly retries: RetrySchedule;
  readonly tracing?: RoundTracing;
  /** By this machine's clock, milliseconds since 1970. */
  readonly now?: () => number;
  /** Milliseconds that only grow; for how long files have held still. */
  readonly monotonicNow?: () => number;
}

const DEFAULT_QUIET_MS = 10_000;

export class Robot {
  readonly #source: AdapterSource;
  readonly #now: () => number;
  /** The trainer's files as they were last dealt with, whatever came of it. */
  #handled: string | undefined;
  readonly #reports: RobotReports;
  /** Of the rounds that it takes part in, or of the release that it took. */
  #policy: string | undefined;

  private constructor(
    private readonly options: RobotOptions,
    private readonly with_: RobotDependencies,
    private readonly snapshots: Snapshots,
    private readonly sent: SentUpdates,
    private readonly closed: ClosedRounds,
  ) {
    const { adapterDirectory, quietMs = DEFAULT_QUIET_MS } = options;
    const { monotonicNow, now = Date.now } = with_;
    this.#source = new AdapterSource({
      directory: adapterDirectory,
      quietMs,
      ...(monotonicNow !== undefined && { now: monotonicNow }),
    });
    this.#now = now;
    this.#reports = new RobotReports(with_.directory, options.telemetryDirectory, with_.log);
    this.#policy = options.policyName;
  }

  /** The caller holds the lock of the agent's directory. */
  static async open(options: RobotOptions, dependencies: RobotDependencies): Promise<Robot> {
    const { directory } = dependencies;
    return new Robot(
      options,
      dependencies,
      await Snapshots.open(directory),
      await SentUpdates.open(directory),
      await ClosedRounds.open(directory),
    );
  }

  /** One look at the trainer's directory and at the service. @throws failures of the connection */
  async step(): Promise<void> {
    const { api, roster } = this.with_;
    // First: it needs no network, and the trainer may write the next one before there is any.
    await this.#lookAtTrainer();
    const items = (await api.work()).filter((item) => this.#isOurs(item));
    await roster.sync();
    // First, since a close record is what lets a delta be sealed again.
    for (const item of itemsOf(items, 'closed')) await this.#takeClose(item);
    for (const item of itemsOf(items, 'seal')) await this.#seal(item);
    // First: what was counted is of the release that the robot runs now.
    await this.#report();
    if (await this.#takeRelease()) await this.#report();
    await this.#prune();
  }

  #isOurs(item: WorkItem): boolean {
    const { policyName } = this.options;
    return policyName === undefined || item.kind !== 'seal' || item.policy === policyName;
  }

  async #lookAtTrainer(): Promise<void> {
    const stable = await this.#source.look();
    if (stable === undefined || stable.signature === this.#handled) return;
    const attempt = { key: `snapshot ${stable.signature}`, event: 'robot.snapshot-failed' };
    const done = await attemptItem(this.with_, attempt, () => this.#takeSnapshot(stable));
    // One that changed meanwhile has another signature at the next look.
    if (done) this.#handled = stable.signature;
  }

  async #takeSnapshot(stable: StableAdapter): Promise<void> {
    const { adapterDirectory, trainingFile } = this.options;
    const { log } = this.with_;
    const training = await readTrainingMetadata(adapterDirectory, trainingFile);
    const marker = await this.#source.marker(stable);
    const currentBase = await this.#currentBase();
    const snapshot = await this.snapshots.take({
      from: adapterDirectory,
      base: marker?.base ?? currentBase,
      training,
      takenMs: this.#now(),
      isStill: () => this.#source.isStill(stable),
    });
    if (snapshot === undefined) return;
    for (const { file, message } of training.warnings) {
      log.write('warn', 'robot.training-file', { file, message });
    }
    log.write('info', 'robot.snapshot', { snapshot: snapshot.name });
  }

  async #currentBase(): Promise<string | undefined> {
    const { baseDirectory, releaseDirectory } = this.options;
    const hasRelease = releaseDirectory !== undefined && (await holdsAdapter(releaseDirectory));
    const base = hasRelease ? releaseDirectory : baseDirectory;
    if (baseDirectory !== undefined && base !== baseDirectory) await this.snapshots.keepBase(baseDirectory);
    return base === undefined ? undefined : this.snapshots.keepBase(base);
  }

  async #takeClose({ plan }: ItemOf<'closed'>): Promise<void> {
    if (this.closed.has(plan)) return;
    const attempt = { key: `close ${plan}`, event: 'robot.close-refused', fields: { plan } };
    await attemptItem(this.with_, attempt, async () => {
      const file = await this.with_.api.close(plan);
      if (file === undefined) return;
      const { clientDirectory } = this.options;
      const outcome = await takeCloseRecord(
        clientDirectory,
        await currentRoster(clientDirectory),
        plan,
        file,
      );
      const sent = await this.sent.find(plan);
      if (outcome.outcome === 'opened' && sent !== undefined) await this.snapshots.remove(sent.snapshot);
      await this.sent.remove(plan);
      await this.closed.add(plan);
      this.with_.log.write('info', 'robot.round-closed', { plan, outcome: outcome.outcome });
    });
  }

  async #seal({ plan, policy, cohort, round, deadlineMs }: ItemOf<'seal'>): Promise<void> {
    const snapshots = await this.snapshots.list();
    const newest = snapshots[0];
    if (newest === undefined) return;
    const { api, log } = this.with_;
    const fields = { plan, policy, cohort, round };
    this.#policy ??= policy;
    // Another snapshot is another try: what was refused of the one before says nothing of it.
    const attempt = { key: `seal ${plan} ${newest.name}`, event: 'robot.not-sent', fields };
    await attemptItem(this.with_, attempt, async () => {
      const { clientDirectory, client = {} } = this.options;
      const planFile = await api.plan(plan);
      const request = { clientDirectory, options: client, plan, planFile, snapshots };
      const { tracing = NO_TRACING } = this.with_;
      const result = await traced(tracing, { plan, name: 'seal' }, () => sealForPlan(request));
      const { snapshot, sealed } = result;
      const update = hex(sealed.update);
      await this.sent.record({ plan, update, snapshot: snapshot.name, deadlineMs });
      if (!sealed.replayed) {
        await this.#measure(plan, result);
        log.write('info', 'robot.sealed', { ...fields, update, snapshot: snapshot.name });
      }
      const { gatewayUpdatesDirectory } = this.options;
      if (gatewayUpdatesDirectory !== undefined) {
        await new SiteUpdates(gatewayUpdatesDirectory).deliver(plan, update, sealed.stored);
        if (!sealed.replayed) log.write('info', 'robot.left-for-gateway', { ...fields, update });
        return;
      }
      const uploadStarted = performance.now();
      const progress = await traced(tracing, { plan, name: 'upload' }, () =>
        uploadUpdate(api, plan, update, sealed.stored),
      );
      // One that was begun earlier has part of it behind it: nobody measured the whole.
      if (!sealed.replayed) this.#reports.took('upload', performance.now() - uploadStarted);
      const { state, code, reason } = progress;
      log.write('info', 'robot.sent', { ...fields, update, state, code, reason });
    });
  }

  /** What cannot be measured holds up no update: the log says why, and the report has nothing of it. */
  async #measure(plan: string, { sealed, planBody, residuals }: SealedSnapshot): Promise<void> {
    const attempt = { key: `measure ${plan}`, event: 'robot.not-measured', fields: { plan } };
    await attemptItem(this.with_, attempt, async () => {
      this.#reports.sealed(await measureUpdate(sealed.stored, planBody));
      const residualNorm = await residualNormOf(residuals, planBody);
      if (residualNorm !== undefined) this.#reports.keeps(residualNorm);
      return 'final';
    });
  }

  /** @returns whether another one is in place now */
  async #takeRelease(): Promise<boolean> {
    const { releaseDirectory, clientDirectory, policyName, client } = this.options;
    if (releaseDirectory === undefined) return false;
    let isTaken = false;
    const { api, directory, log } = this.with_;
    await attemptItem(this.with_, { key: 'release', event: 'robot.release-refused' }, async () => {
      const options = {
        ...{ api, clientDirectory, releaseDirectory, policy: policyName },
        rolePolicy: client ?? {},
      };
      const [startMs, started] = [this.#now(), performance.now()];
      const taken = await takeNewestRelease(options, directory);
      if (taken === undefined) return;
      this.#policy ??= taken.body.policy;
      this.#reports.took('apply', performance.now() - started);
      const { round } = taken.body;
      if (round !== undefined) {
        const span = { plan: hex(round.plan), name: 'apply', startMs, endMs: this.#now() };
        this.with_.tracing?.span(span);
      }
      await this.snapshots.keepBase(releaseDirectory);
      const { counter, policy, rollback } = taken.body;
      isTaken = true;
      log.write('info', 'robot.release', { counter, policy, rollbackTo: rollback?.to });
    });
    return isTaken;
  }

  async #report(): Promise<void> {
    const { api, id: client } = this.with_;
    const policy = this.#policy;
    if (client === undefined || policy === undefined) return;
    await attemptItem(this.with_, { key: 'report', event: 'robot.not-reported' }, async () => {
      const { clientDirectory, releaseDirectory, client: rolePolicy = {} } = this.options;
      const options = { clientDirectory, client, policy, releaseDirectory, rolePolicy };
      await this.#reports.send(api, options, this.#now());
    });
  }

  /** Keeps the newest snapshot, and those whose round may still ask for their update again. */
  async #prune(): Promise<void> {
    const sent = await this.sent.list();
    const needed = new Set(
      sent.filter(({ deadlineMs }) => deadlineMs > this.#now()).map(({ snapshot }) => snapshot),
    );
    const [, ...older] = await this.snapshots.list();
    for (const { name } of older.filter((each: Snapshot) => !needed.has(each.name))) {
      await this.snapshots.remove(name);
    }
  }
}
