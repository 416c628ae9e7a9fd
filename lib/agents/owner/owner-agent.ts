/**
 * What runs at the owner: it plans rounds at the envelope's cadence, opens and closes them, and keeps roster and releases
 * published. It is the only one that sees an average, and sends none of it to the service but encrypted to the fleet.
 */
import { join, resolve } from 'node:path';
import { hex } from '../../custody/fields.js';
import { RefusedError } from '../../errors.js';
import type { ParameterSetName } from '../../lwe/parameters.js';
import { OPENING_REPORT_SCHEMA_VERSION, type OpeningReport } from '../../observability/opening-report.js';
import { NO_TRACING, type RoundTracing, traced } from '../../observability/tracing.js';
import { openContainer } from '../../package/reader.js';
import type { OpenedRoundReport } from '../../round/open-round.js';
import type { RolePolicyOptions } from '../../round/role-policy.js';
import type { AgentDirectory } from '../agent-directory.js';
import { type AgentLog, errorFields } from '../agent-log.js';
import type { FleetApi } from '../api/fleet-api.js';
import { type ItemOf, itemsOf, type WorkItem } from '../api/work-items.js';
import { attemptItem } from '../items.js';
import type { RetrySchedule } from '../retry-schedule.js';
import { currentRoster } from '../roster-sync.js';
import { currentAdapter, directoryOf, planningAdapters } from './adapters.js';
import { endUnneededKeys } from './epoch-ending.js';
import { type GateOptions, keptVerdict, verdictOn } from './gate.js';
import { burntReason, closeUnopened, fetchRound, type OpeningApi, openAndClose } from './opening.js';
import { planOnce, type RoundToPlan } from './planning.js';
import { Publisher, type PublishingApi, releaseRollback, releaseRound } from './publishing.js';
import { type OwnedRound, OwnedRounds } from './round-records.js';

export interface OwnerAgentOptions {
  readonly ownerDirectory: string;
  readonly coordinatorDirectory: string;
  /** The policy whose rounds this agent runs. */
  readonly policyName: string;
  /** Below it, the average of each round: `ROUND`, or `COHORT-ROUND` where the cohort is not "all". */
  readonly outDirectory: string;
  readonly like?: string | undefined;
  readonly base?: string | undefined;
  /** Recompute every sum from the signed updates: without it, integrity against the service is not claimed. */
  readonly verify?: boolean;
  /** `auto` releases every average at once; `manual` waits for `release create`, since gates come before. */
  readonly release?: 'auto' | 'manual';
  /** Evaluates each average; what passes is released, and its rollout started. */
  readonly gate?: GateOptions | undefined;
  readonly rolePolicy?: RolePolicyOptions;
  readonly parameterSet?: ParameterSetName | undefined;
  readonly deadlineMs?: number | undefined;
  readonly maxClients?: number | undefined;
  /** Whether keys are ended by themselves once their rounds are closed; else by `fleet enroll --oldest-open-epoch`, `keys destroy`. */
  readonly endEpochs?: boolean;
  /** How long to wait for the other custodians where the answers that there are do not open the round. */
  readonly answerPatienceMs?: number;
}

export interface OwnerAgentDependencies {
  readonly api: OpeningApi &
    PublishingApi &
    Pick<FleetApi, 'work' | 'rounds' | 'putPlan' | 'putCohort' | 'putClose' | 'putOpening'>;
  readonly directory: AgentDirectory;
  readonly log: AgentLog;
  readonly retries: RetrySchedule;
  readonly tracing?: RoundTracing;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** What a later attempt would be told again. */
const FINAL_ROLLOUT_REFUSALS: ReadonlySet<string> = new Set([
  'rollout.bad-plan',
  'rollout.older',
  'rollout.releases-immediate',
  'rollout.rolled-back',
]);
const FIRST_COHORT = 'all';
const DEFAULT_ANSWER_PATIENCE_MS = 600_000;
const EPOCH_CHECK_MS = 600_000;

export class OwnerAgent {
  readonly #now: () => number;
  readonly #publisher: Publisher;
  /** Rounds whose answers do not open them, since when. */
  readonly #unopenable = new Map<string, number>();
  /** How rounds were opened, until the service knows; what is lost with this process is a measurement. */
  readonly #openings = new Map<string, OpeningReport>();
  #epochsCheckedMs = Number.NEGATIVE_INFINITY;
  /** Counter of the release whose rollout was started, or refused for good. */
  #rolledOut: number | undefined;
  /** Said once. */
  readonly #mentioned = new Set<string>();

  private constructor(
    private readonly options: OwnerAgentOptions,
    private readonly with_: OwnerAgentDependencies,
    private readonly rounds: OwnedRounds,
    private readonly plans: string,
  ) {
    this.#now = with_.now ?? Date.now;
    this.#publisher = new Publisher(with_.api, options.ownerDirectory, options.policyName);
  }

  /** The caller holds the lock of the agent's directory. */
  static async open(options: OwnerAgentOptions, dependencies: OwnerAgentDependencies): Promise<OwnerAgent> {
    const { directory } = dependencies;
    return new OwnerAgent(
      options,
      dependencies,
      await OwnedRounds.open(directory),
      await directory.below('plans'),
    );
  }

  /** @throws failures of the connection */
  async step(): Promise<void> {
    await this.#publish();
    const items = await this.with_.api.work();
    // First: robots run what was withdrawn.
    for (const item of itemsOf(items, 'rollback')) await this.#rollBack(item);
    for (const item of itemsOf(items, 'open')) await this.#open(item);
    await this.#reportOpenings();
    for (const item of itemsOf(items, 'close-failed')) await this.#closeFailed(item);
    for (const item of itemsOf(items, 'release')) await this.#release(item);
    await this.#rollOut();
    for (const item of itemsOf(items, 'suspend')) this.#mentionSuspects(item);
    for (const round of await this.#roundsToPlan(items)) await this.#plan(round);
    if (this.options.endEpochs !== false) await this.#endEpochs();
  }

  async #publish(): Promise<void> {
    const { log } = this.with_;
    await attemptItem(this.with_, { key: 'roster', event: 'owner.roster-refused' }, async () => {
      if (await this.#publisher.publishRoster()) log.write('info', 'owner.roster-published');
    });
    await attemptItem(this.with_, { key: 'releases', event: 'owner.release-refused' }, async () => {
      const counter = await this.#publisher.publishNewestRelease();
      if (counter !== undefined) log.write('info', 'owner.release-published', { counter });
    });
  }

  /** The roster that says so is published with the next step. */
  async #endEpochs(): Promise<void> {
    const nowMs = this.#now();
    if (nowMs - this.#epochsCheckedMs < EPOCH_CHECK_MS) return;
    this.#epochsCheckedMs = nowMs;
    await attemptItem(this.with_, { key: 'epochs', event: 'owner.epochs-not-ended' }, async () => {
      const { api, log } = this.with_;
      const { ownerDirectory } = this.options;
      const ended = await endUnneededKeys(ownerDirectory, api, this.rounds);
      const { oldestOpenEpoch, destroyed, unreadable } = ended;
      if (oldestOpenEpoch !== undefined) log.write('info', 'owner.epochs-ended', { oldestOpenEpoch });
      for (const key of destroyed) log.write('info', 'owner.key-destroyed', { key });
      for (const plan of unreadable) log.write('warn', 'owner.plan-unreadable', { plan });
    });
  }

  /** What the service says is next; the first round, where it has none. */
  async #roundsToPlan(items: readonly WorkItem[]): Promise<RoundToPlan[]> {
    const { policyName } = this.options;
    const listed = itemsOf(items, 'plan').filter(({ policy }) => policy === policyName);
    // Two half cohorts that end at one time both name the cohort that they came from.
    const due = new Map(
      listed
        .filter(({ notBeforeMs }) => this.#now() >= notBeforeMs)
        .map(({ policy, cohort, round, half }) => [
          `${cohort} ${round}`,
          { policy, cohort, round, ...(half !== undefined && { half }) },
        ]),
    );
    if (listed.length > 0) return [...due.values()];
    const known = (await this.with_.api.rounds()).filter(({ policy }) => policy === policyName);
    if (known.length > 0) return [];
    // A service that lost its store begins anew, but custodians answer for no round twice.
    const last = (await this.rounds.list())
      .filter(({ policy, cohort }) => policy === policyName && cohort === FIRST_COHORT)
      .reduce((highest, { round }) => Math.max(highest, round), 0);
    return [{ policy: policyName, cohort: FIRST_COHORT, round: last + 1 }];
  }

  async #plan(round: RoundToPlan): Promise<void> {
    const { policy, cohort, half } = round;
    if (await this.#isKnownToService(round)) return;
    const fields = { policy, cohort, round: round.round };
    const key = `plan ${policy} ${cohort} ${round.round}`;
    await attemptItem(this.with_, { key, event: 'owner.not-planned', fields }, async () => {
      const { api, log } = this.with_;
      const { ownerDirectory, coordinatorDirectory, rolePolicy = {} } = this.options;
      const { parameterSet, deadlineMs, maxClients } = this.options;
      const adapters = async () =>
        planningAdapters(this.options, this.rounds, await currentRoster(ownerDirectory), policy);
      const limits = { parameterSet, deadlineMs, maxClients };
      const options = { ownerDirectory, coordinatorDirectory, rolePolicy, ...limits };
      const startMs = Date.now();
      const { plan, file } = await planOnce(this.plans, round, adapters, options, this.#now());
      if (half !== undefined) await api.putCohort(cohort, half);
      await api.putPlan(plan, file);
      this.#tracing.span({ plan, name: 'plan', startMs, endMs: Date.now() });
      await this.rounds.record({ plan, policy, cohort, round: round.round });
      log.write('info', 'owner.planned', { ...fields, plan });
    });
  }

  /** The service goes on naming the halves of a cohort until one of them is done. */
  async #isKnownToService({ policy, cohort, round }: RoundToPlan): Promise<boolean> {
    const own = (await this.rounds.list()).filter(
      (each) => each.policy === policy && each.cohort === cohort && each.round === round,
    );
    if (own.length === 0) return false;
    const known = new Set((await this.with_.api.rounds()).map(({ plan }) => plan));
    return own.some(({ plan }) => known.has(plan));
  }

  async #open({ plan, answers }: ItemOf<'open'>): Promise<void> {
    // With another answer, what did not open before may open.
    const attempt = { key: `open ${plan} ${answers.length}`, event: 'owner.not-opened', fields: { plan } };
    await attemptItem(this.with_, attempt, () =>
      this.with_.directory.withTemporary(async (temporary) => {
        const { verify = false, ownerDirectory, rolePolicy = {} } = this.options;
        const { api, log } = this.with_;
        const files = await fetchRound(api, plan, answers, verify, temporary);
        const { base, out } = await this.#openingOf(plan, files.plan);
        const request = { ownerDirectory, rolePolicy, planHex: plan, files, base, out };
        try {
          const { report, record, decryptMs } = await traced(this.#tracing, { plan, name: 'decrypt' }, () =>
            openAndClose(request),
          );
          this.#openings.set(plan, openingReport(report, decryptMs));
          await api.putClose(plan, record);
          this.#unopenable.delete(plan);
          const { contributors, verified, disagreeing } = report;
          log.write('info', 'owner.opened', { plan, out, contributors, answers: report.answers, verified });
          for (const custodian of disagreeing) {
            log.write('warn', 'owner.answer-disagrees', { plan, custodian });
          }
        } catch (error) {
          const reason = burntReason(error);
          if (reason === undefined || (await this.#mayStillOpen(plan, answers.length))) throw error;
          log.write('error', 'owner.round-burnt', { plan, ...errorFields(error) });
          const closing = { ownerDirectory, rolePolicy, planHex: plan, plan: files.plan };
          await api.putClose(plan, (await closeUnopened(closing, files.aggregate, reason)).record);
        }
      }),
    );
  }

  get #tracing(): RoundTracing {
    return this.with_.tracing ?? NO_TRACING;
  }

  async #reportOpenings(): Promise<void> {
    for (const [plan, report] of this.#openings) {
      const attempt = { key: `opening ${plan}`, event: 'owner.opening-not-reported', fields: { plan } };
      const done = await attemptItem(this.with_, attempt, () => this.with_.api.putOpening(plan, report));
      if (done) this.#openings.delete(plan);
    }
  }

  /**
   * One custodian that answers wrongly spoils a round of exactly the threshold's answers, and not one of more: the others
   * are waited for before the clients' work is given up.
   */
  async #mayStillOpen(plan: string, answers: number): Promise<boolean> {
    const { custodians } = (await currentRoster(this.options.ownerDirectory)).body;
    const since = this.#unopenable.get(plan) ?? this.#now();
    this.#unopenable.set(plan, since);
    const { answerPatienceMs = DEFAULT_ANSWER_PATIENCE_MS } = this.options;
    return answers < custodians.length && this.#now() - since < answerPatienceMs;
  }

  /** Decided once: opening again after a crash writes the same average to the same place. */
  async #openingOf(plan: string, planFile: Uint8Array): Promise<{ base: string | undefined; out: string }> {
    const known = (await this.rounds.find(plan)) ?? (await this.#roundOf(plan, planFile));
    if (known.out !== undefined) return { base: known.base, out: known.out };
    const { outDirectory, ownerDirectory } = this.options;
    const roster = await currentRoster(ownerDirectory);
    const current = await currentAdapter(this.options, this.rounds, roster, known.policy);
    const name = known.cohort === FIRST_COHORT ? `${known.round}` : `${known.cohort}-${known.round}`;
    const base = current && resolve(current);
    const out = resolve(join(outDirectory, name));
    await this.rounds.record({ ...known, ...(base !== undefined && { base }), out });
    return { base, out };
  }

  async #closeFailed({ plan, reason }: ItemOf<'close-failed'>): Promise<void> {
    const attempt = { key: `close ${plan}`, event: 'owner.not-closed', fields: { plan } };
    await attemptItem(this.with_, attempt, async () => {
      const { ownerDirectory, rolePolicy = {} } = this.options;
      const { api, log } = this.with_;
      const planFile = await api.plan(plan);
      const closing = { ownerDirectory, rolePolicy, planHex: plan, plan: planFile };
      const { record, opened } = await closeUnopened(closing, undefined, reason);
      await api.putClose(plan, record);
      log.write('warn', 'owner.closed', { plan, opened, reason });
    });
  }

  async #release({ plan }: ItemOf<'release'>): Promise<void> {
    const { release = 'manual', ownerDirectory, rolePolicy = {} } = this.options;
    const { api, directory, log } = this.with_;
    const round = await this.rounds.find(plan);
    if (round === undefined || round.policy !== this.options.policyName) return;
    const isGated = this.options.gate !== undefined;
    if (release === 'manual' && !isGated) {
      // Where the operator has made one, it is published above.
      this.#mention(`release ${plan}`, 'owner.release-awaited', { plan, out: round.out });
      return;
    }
    const attempt = { key: `release ${plan}`, event: 'owner.not-released', fields: { plan } };
    await attemptItem(this.with_, attempt, async () => {
      const { out: adapter } = round;
      if (adapter === undefined) return undefined;
      if (!(await this.#passes(plan, round))) return 'final';
      const made = await this.#publisher.releaseOf(plan);
      const counter =
        made?.counter ??
        (await directory.withTemporary(async (temporary) => {
          const out = join(temporary, 'release.tgr');
          const planFile = await api.plan(plan);
          return traced(this.#tracing, { plan, name: 'release' }, () =>
            releaseRound({ ownerDirectory, rolePolicy, plan: planFile, adapter, out }),
          );
        }));
      await this.#publisher.publish(counter);
      log.write('info', 'owner.released', { plan, counter });
      // The first one is what the fleet begins with: there is nothing to go back to, and the service gives it to everybody.
      if (!isGated && counter > 1) {
        const advice = 'evaluate it, then: rollout start';
        this.#mention(`rollout ${counter}`, 'owner.rollout-awaited', { counter: `${counter}`, advice });
      }
      return undefined;
    });
  }

  /** Whether the gate lets an average through; without one, everything. The service is told the verdict, whatever it is. */
  async #passes(plan: string, { out, base }: OwnedRound): Promise<boolean> {
    const { gate, ownerDirectory, rolePolicy = {} } = this.options;
    if (gate === undefined || out === undefined) return true;
    const { api, log } = this.with_;
    const baseline = base ?? gate.baseline;
    if (baseline === undefined) {
      throw new RefusedError(
        'owner.no-baseline',
        'There is nothing to evaluate the first average against. Start the agent with --baseline, or with --base.',
      );
    }
    const verdict = await verdictOn({ ownerDirectory, rolePolicy, gate, candidate: out, baseline });
    await api.putVerdict(verdict.fingerprint, verdict.file);
    const { outcome, fingerprint } = verdict;
    log.write(outcome === 'passed' ? 'info' : 'warn', 'owner.evaluated', {
      plan,
      outcome,
      verdict: fingerprint,
    });
    return outcome === 'passed';
  }

  /** The newest release that passed, once it is published; again after a restart, which changes nothing. */
  async #rollOut(): Promise<void> {
    const { gate, ownerDirectory } = this.options;
    if (gate === undefined) return;
    const released = await this.#publisher.released();
    const newest = released.at(-1);
    // There is nothing to go back to from the first one; and one that goes back is a rollout's end.
    const isCandidate = newest !== undefined && released.length > 1 && newest.rollback === undefined;
    if (!isCandidate || this.#rolledOut === newest.counter) return;
    const { api, log } = this.with_;
    const { counter } = newest;
    const attempt = { key: `rollout ${counter}`, event: 'owner.not-rolled-out', fields: { counter } };
    await attemptItem(this.with_, attempt, async () => {
      const roster = await currentRoster(ownerDirectory);
      const verdict = await keptVerdict(ownerDirectory, roster, newest.adapterFingerprint);
      if (verdict?.outcome !== 'passed') return 'final';
      await api.putVerdict(verdict.fingerprint, verdict.file);
      await this.#publisher.publish(counter);
      try {
        await api.startRollout(counter);
        log.write('info', 'owner.rollout-started', { counter });
      } catch (error) {
        // A rollout that ended, or an adapter that was gone back from: not this agent's to decide.
        if (!(error instanceof RefusedError) || !FINAL_ROLLOUT_REFUSALS.has(error.code)) throw error;
        log.write('info', 'owner.not-rolled-out', { counter, ...errorFields(error) });
      }
      this.#rolledOut = counter;
      return undefined;
    });
  }

  /** Signed once: after a crash the release that goes back is published again. */
  async #rollBack({ policy, bad, to, adapterFingerprint }: ItemOf<'rollback'>): Promise<void> {
    const { policyName, base, ownerDirectory, rolePolicy = {} } = this.options;
    if (policy !== policyName) return;
    const fields = { policy, bad, to };
    const attempt = { key: `rollback ${policy} ${bad}`, event: 'owner.not-rolled-back', fields };
    await attemptItem(this.with_, attempt, async () => {
      const made = (await this.#publisher.released()).find(
        (each) =>
          each.counter > bad &&
          each.rollback !== undefined &&
          each.rollback.to <= to &&
          hex(each.adapterFingerprint) === adapterFingerprint,
      );
      const adapter = await directoryOf(adapterFingerprint, base, this.rounds);
      if (made === undefined && adapter === undefined) {
        throw new RefusedError(
          'owner.adapter-not-found',
          `The adapter of release ${to} is neither an average below --out-dir nor that of --base. Sign the release by hand: ` +
            `release create DIR --rollback-to ${to}.`,
        );
      }
      const counter =
        made?.counter ??
        (await this.with_.directory.withTemporary((temporary) => {
          const out = join(temporary, 'release.tgr');
          return releaseRollback({ ownerDirectory, rolePolicy, policy, to, adapter: adapter as string, out });
        }));
      await this.#publisher.publish(counter);
      this.with_.log.write('warn', 'owner.rolled-back', { ...fields, counter });
    });
  }

  #mentionSuspects({ plan, clients }: ItemOf<'suspend'>): void {
    this.#mention(`suspend ${plan}`, 'owner.suspects', { plan, clients: clients.join(' ') });
  }

  #mention(key: string, event: string, fields: Record<string, string | undefined>): void {
    if (this.#mentioned.has(key)) return;
    this.#mentioned.add(key);
    this.with_.log.write('warn', event, fields);
  }

  /** Of a round that this agent did not plan itself. */
  async #roundOf(plan: string, planFile: Uint8Array): Promise<OwnedRound> {
    const { body } = await openContainer(planFile, 'plan');
    const { policy, cohort, round } = body;
    return { plan, policy, cohort, round };
  }
}

function openingReport(report: OpenedRoundReport, decryptMs: number): OpeningReport {
  const { contributors, answers, verified, disagreeing } = report;
  return {
    schema: OPENING_REPORT_SCHEMA_VERSION,
    ...{ decryptMs, contributors, answers, verified },
    disagreeing: [...disagreeing],
  };
}
