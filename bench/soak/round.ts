/** One round of the soak: planned, sealed beforehand, sent by robots of all kinds, summed, opened, and compared. */
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApiRefusedError } from '../../lib/agents/http/api-errors.js';
import { EnvironmentError } from '../../lib/errors.js';
import { hex } from '../../lib/package/messages/common.js';
import { openContainer } from '../../lib/package/reader.js';
import { containerBytes, encodeContainer } from '../../lib/package/writer.js';
import { isBefore } from '../../lib/round/machine/phases.js';
import { openOwner } from '../../lib/round/owner-directory.js';
import type { RoundStatus } from '../../lib/server/rounds/round-status.js';
import { type Cast, castRound } from './casting.js';
import { killInSum, ReceivingChaos, type SumKill } from './chaos.js';
import type { PlannedRound, Robot, SoakFleet } from './fleet.js';
import { Opening } from './opening.js';
import type { SoakOptions } from './options.js';
import { type AverageCheck, compareWithPlainAverage } from './plain-average.js';
import { SeededRandom } from './random.js';
import { RoundWatch } from './round-watch.js';
import { DAMAGES, damaged, levelsOf, type SealedUpdate, sealUpdates } from './sealed-updates.js';
import { type Outcome, Sender, type Upload } from './sending.js';
import type { Servers } from './servers.js';

export interface RoundFigures {
  readonly round: number;
  /** Fingerprint of its plan. */
  readonly plan: string;
  readonly updateBytes: number;
  readonly sealMsPerUpdate: number;
  readonly acknowledged: number;
  /** Meant to be on time, and refused as late: the machine was slower than the plan. */
  readonly overtakenByDeadline: number;
  readonly corruptRefused: number;
  readonly lateRefused: number;
  readonly duplicatesAcknowledged: number;
  readonly accepted: number;
  readonly refusedInSum: number;
  /** From the first attempt to the last acknowledgement, kills included. */
  readonly receivingMs: number;
  readonly latenciesMs: readonly number[];
  readonly failedAttempts: number;
  /** From the sealing-off to the aggregate, a kill's lease included. */
  readonly summingMs: number;
  readonly sumKill: SumKill | undefined;
  readonly average: AverageCheck;
  /** From each kill of a server while receiving to the next acknowledgement, by whichever server. */
  readonly recoveriesMs: readonly number[];
  readonly violations: readonly string[];
}

export interface Pace {
  readonly sealMs: number;
  readonly receiveMs: number;
}

const SUM_TIMEOUT_MS = 180_000;
const LOOK_MS = 200;
const KILL_ALLOWANCE_MS = 2_500;

/** Codes that an update which comes too late is refused with. */
const LATE_CODES = ['round.late', 'round.ended', 'round.full'];

export class SoakRound {
  readonly #random: SeededRandom;
  readonly #cast: Cast;
  readonly #watch = new RoundWatch();
  readonly #violations: string[] = [];
  readonly #acknowledged = new Set<string>();

  constructor(
    private readonly fleet: SoakFleet,
    private readonly servers: Servers,
    private readonly options: SoakOptions,
    private readonly round: number,
  ) {
    this.#random = new SeededRandom(options.seed, 'chaos', round);
    this.#cast = castRound(fleet.robots, options.seed, round);
  }

  /** @param pace of one update, as far as it is known */
  async run(pace: Pace): Promise<RoundFigures> {
    const { fleet, servers, options, round } = this;
    const { onTime, corrupt, late } = this.#cast;
    const senders = [...onTime, ...corrupt, ...late];
    options.progress(`Round ${round}: sealing ${senders.length} updates`);
    const plan = await fleet.plan(round, this.#deadlineMs(pace, senders.length));
    const sealStarted = performance.now();
    const directory = fleet.at(`updates-${round}`);
    const sealed = await sealUpdates(directory, plan, senders, options.seed);
    const sealMsPerUpdate = (performance.now() - sealStarted) / senders.length;
    const updates = new Map(sealed.map((update) => [update.robot.id, update]));
    const of = (robot: Robot): SealedUpdate => updates.get(robot.id) as SealedUpdate;

    const opening = new Opening(fleet, servers.addresses, plan);
    this.#watch.see(await opening.sendPlan());
    const watching = this.#startWatching(opening);
    try {
      const figures = await this.#runPlanned(opening, plan, of);
      await rm(directory, { recursive: true, force: true });
      return { ...figures, sealMsPerUpdate };
    } finally {
      await watching.stop();
    }
  }

  async #runPlanned(
    opening: Opening,
    plan: PlannedRound,
    of: (robot: Robot) => SealedUpdate,
  ): Promise<Omit<RoundFigures, 'sealMsPerUpdate'>> {
    const { servers, options, round } = this;
    const { progress } = options;
    const { onTime, corrupt, late, duplicates } = this.#cast;
    progress(`Round ${round}: ${onTime.length + corrupt.length} robots send`);
    const chaos = new ReceivingChaos(servers, options, onTime.length, this.#random);
    const sender = new Sender(servers.addresses, plan.name, (fingerprint) => {
      this.#acknowledged.add(fingerprint);
      chaos.acknowledged();
    });
    const firstMoment = performance.now();
    const sent = await this.#receive(sender, of);
    const receivingMs = (sender.acknowledged.at(-1)?.at ?? firstMoment) - firstMoment;
    await chaos.settled();
    const latenciesMs = [...sender.latenciesMs];
    progress(`Round ${round}: ${this.#acknowledged.size} acknowledged; waiting for the deadline`);
    await sleep(Math.max(0, plan.deadlineMs - Date.now()));
    const sumWithinMs = 20 + (onTime.length * (of(onTime[0] as Robot).sizeBytes / 2 ** 20) * 5) / 2;
    const killing = options.killSumming
      ? killInSum(servers, plan.name, sumWithinMs, this.#random)
      : Promise.resolve(undefined);
    const lateOutcomes = await sender.sendAll(
      late.map((robot) => uploadOf(of(robot))),
      options.concurrency,
    );
    for (const outcome of lateOutcomes) this.#expectLate(outcome, 'late');
    const sumKill = await killing;
    const summed = await this.#untilSummed(opening);
    progress(`Round ${round}: summed; custodians answer, the owner opens`);
    this.#checkReceived(summed, onTime);
    this.#checkRefused(summed, corrupt.length);
    const accepted = await this.#open(opening, plan, summed, of);
    const entered = summed.enteredAtMs;
    return {
      round,
      plan: plan.name,
      updateBytes: of(onTime[0] as Robot).sizeBytes,
      acknowledged: this.#acknowledged.size,
      overtakenByDeadline: sent.overtaken,
      corruptRefused: sent.corrupt,
      lateRefused: lateOutcomes.length,
      duplicatesAcknowledged: duplicates.length - sent.duplicatesOvertaken,
      accepted: accepted.count,
      refusedInSum: summed.aggregate?.refused.length ?? 0,
      receivingMs,
      latenciesMs,
      failedAttempts: sender.failedAttempts,
      recoveriesMs: this.#recoveries(sender, firstMoment),
      summingMs: (entered['awaiting-answers'] ?? 0) - (entered['sealed-off'] ?? 0),
      sumKill,
      average: accepted.average,
      violations: [...this.#violations, ...this.#watch.violations].map((what) => `round ${round} ${what}`),
    };
  }

  #deadlineMs({ sealMs, receiveMs }: Pace, senders: number): number {
    const { killsReceiving, restartNats } = this.options;
    const kills = killsReceiving + (restartNats ? 1 : 0);
    return Math.ceil(
      Date.now() + senders * (sealMs * 1.3 + receiveMs * 1.4) + 1500 + kills * KILL_ALLOWANCE_MS,
    );
  }

  /** All that is sent before the deadline, in an order that the seed decides. */
  async #receive(sender: Sender, of: (robot: Robot) => SealedUpdate) {
    const { onTime, corrupt, duplicates } = this.#cast;
    const twice = new Set(duplicates);
    const counts = { overtaken: 0, duplicatesOvertaken: 0, corrupt: 0 };
    const works = [
      ...onTime.map((robot) => async (): Promise<void> => {
        const first = await sender.send(uploadOf(of(robot)));
        if (first.kind === 'refused') {
          counts.overtaken += 1;
          this.#expectLate(first, 'on time');
        }
        if (!twice.has(robot)) return;
        if (first.kind === 'refused') {
          counts.duplicatesOvertaken += 1;
          return;
        }
        // Whoever has lost the answer sends again, and is told the same.
        const again = await sender.send(uploadOf(of(robot)));
        if (again.kind === 'refused') this.#violations.push(`refused a duplicate: ${again.code}`);
      }),
      ...corrupt.map((robot, i) => async (): Promise<void> => {
        const damage = DAMAGES[i % DAMAGES.length] as (typeof DAMAGES)[number];
        const content = await damaged(of(robot), damage);
        const outcome = await sender.send({ robot, fingerprint: of(robot).fingerprint, content });
        if (outcome.kind === 'acknowledged') this.#violations.push(`took a corrupt update (${damage})`);
        else counts.corrupt += 1;
      }),
    ];
    const queue = this.#random.shuffled(works);
    const work = async (): Promise<void> => {
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) await next();
    };
    await Promise.all(Array.from({ length: this.options.concurrency }, work));
    return counts;
  }

  #recoveries({ acknowledged }: Sender, since: number): number[] {
    return this.servers.kills
      .filter(({ what, when, at }) => what === 'server' && when === 'receiving' && at >= since)
      .flatMap((kill) => {
        // Answers that were on their way when it died are not its successor's.
        const next = acknowledged.find(({ startedAt }) => startedAt > kill.deadAt);
        return next === undefined ? [] : [next.at - kill.at];
      });
  }

  #expectLate(outcome: Outcome, who: string): void {
    if (outcome.kind === 'acknowledged') {
      this.#violations.push(`took an update that was ${who} after its sealing-off`);
    } else if (!LATE_CODES.includes(outcome.code)) {
      this.#violations.push(`refused an update that was ${who} with ${outcome.code}`);
    }
  }

  async #untilSummed(opening: Opening): Promise<RoundStatus> {
    for (const end = Date.now() + SUM_TIMEOUT_MS; Date.now() < end; await sleep(LOOK_MS)) {
      const status = await opening.status();
      if (!isBefore(status.phase, 'awaiting-answers')) {
        if (status.phase === 'awaiting-answers') return status;
        throw new EnvironmentError(
          'soak.round-failed',
          `Round ${this.round}: ${JSON.stringify(status.failure)}`,
        );
      }
    }
    throw new EnvironmentError('soak.not-summed', `Round ${this.round} was not summed in time.`);
  }

  /** What was acknowledged is in the round, each in the sum or refused with a reason; nobody else's is. */
  #checkReceived(status: RoundStatus, onTime: readonly Robot[]): void {
    const received = new Set(status.received.map(({ update }) => update));
    const lost = [...this.#acknowledged].filter((fingerprint) => !received.has(fingerprint));
    if (lost.length > 0) this.#violations.push(`lost ${lost.length} acknowledged updates`);
    const stray = [...received].filter((fingerprint) => !this.#acknowledged.has(fingerprint));
    if (stray.length > 0) this.#violations.push(`has ${stray.length} updates that it never acknowledged`);
    const clients = new Set(onTime.map(({ id }) => id));
    const strangers = status.received.filter(({ client }) => !clients.has(client));
    if (strangers.length > 0) this.#violations.push(`has ${strangers.length} updates of others`);
    const { accepted = 0, refused = [] } = status.aggregate ?? {};
    if (accepted + refused.length !== received.size) {
      this.#violations.push(`accounts for ${accepted + refused.length} of ${received.size} updates`);
    }
    if (refused.some(({ code, reason }) => code === '' || reason === '')) {
      this.#violations.push('refused an update without a reason');
    }
    const gone = refused.filter(({ code }) => code.startsWith('store.'));
    if (gone.length > 0) this.#violations.push(`lost what ${gone.length} acknowledged updates consist of`);
  }

  #checkRefused({ refusals, unlistedRefusals }: RoundStatus, corrupt: number): void {
    const noted = refusals.length + unlistedRefusals;
    // Every second damage is found by a signature or a digest, which names the client; the others are no update at all.
    if (noted < Math.floor(corrupt / 2)) this.#violations.push(`noted ${noted} refusals of ${corrupt}`);
    if (refusals.some(({ code, reason }) => code === '' || reason === '')) {
      this.#violations.push('noted a refusal without a reason');
    }
  }

  async #open(
    opening: Opening,
    plan: PlannedRound,
    summed: RoundStatus,
    of: (robot: Robot) => SealedUpdate,
  ): Promise<{ readonly count: number; readonly average: AverageCheck }> {
    const { options, round, servers } = this;
    const aggregate = await opening.fetchAggregate();
    const container = await openContainer(aggregate, 'aggregate');
    await container.close();
    const accepted = new Set(container.body.accepted.map(({ update }) => hex(update)));
    if (accepted.size !== summed.aggregate?.accepted) {
      this.#violations.push('says another number of accepted updates than its aggregate has');
    }
    const robots = this.#cast.onTime.filter((robot) => accepted.has(of(robot).fingerprint));
    const { report, average, closed, record } = await opening.open(
      options.verify ? robots.map((robot) => of(robot).path) : [],
    );
    this.#watch.see(closed);
    if (closed.phase !== 'opened') this.#violations.push(`was closed and is ${closed.phase}`);
    if (report.contributors !== robots.length) {
      this.#violations.push(`was opened with ${report.contributors} contributors, not ${robots.length}`);
    }
    const count = plan.trusted.arithmetic.valueCount;
    const compared = await compareWithPlainAverage(
      plan.trusted,
      average,
      levels(options.seed, round, robots, count),
    );
    if (compared.wrong > 0) {
      this.#violations.push(`has ${compared.wrong} of ${compared.values} sums that are not the plain ones`);
    }
    await servers.kill(this.#random.below(servers.processes.length), 'closed');
    await this.#expectOpenedOnce(opening, plan, record);
    return { count: robots.length, average: compared };
  }

  /** After the death of a server: the same record again is fine, another one is refused, and nothing has changed. */
  async #expectOpenedOnce(opening: Opening, plan: PlannedRound, record: Uint8Array): Promise<void> {
    this.#watch.see(await opening.sendClose(record));
    const other = await this.#anotherRecord(plan);
    const code = await opening.sendClose(other).then(
      () => undefined,
      (error: unknown) => {
        if (!(error instanceof ApiRefusedError)) throw error;
        return error.code;
      },
    );
    if (code !== 'round.another-close') this.#violations.push(`answers a second close record with ${code}`);
    const status = await opening.status();
    this.#watch.see(status);
    if (status.phase !== 'opened') this.#violations.push(`is ${status.phase} after it was opened`);
    if (!Buffer.from(await opening.fetchClose()).equals(record)) {
      this.#violations.push('gives out another close record than it was sent');
    }
  }

  /** Validly signed by the owner, which an honest one would not send. */
  async #anotherRecord({ trusted }: PlannedRound): Promise<Uint8Array> {
    const { owner, role } = await openOwner(this.fleet.role('owner'), { environment: {} });
    try {
      const { fleet, policy, cohort, round } = trusted.body;
      return containerBytes(
        await encodeContainer({
          kind: 'close',
          body: {
            ...{ fleet, policy, cohort, round, plan: trusted.fingerprint },
            opened: [],
            reason: 'the soak asks for it',
          },
          sections: [],
          signer: owner.signing,
        }),
      );
    } finally {
      role.close();
    }
  }

  /** Looks all the time, through kills and restarts. */
  #startWatching(opening: Opening): { stop(): Promise<void> } {
    const stopped = new AbortController();
    const looking = (async () => {
      while (!stopped.signal.aborted) {
        this.#watch.seeNext(await opening.status());
        await sleep(LOOK_MS * 2, undefined, { signal: stopped.signal }).catch(() => undefined);
      }
    })();
    // Thrown where it is waited for.
    looking.catch(() => undefined);
    return {
      async stop() {
        stopped.abort();
        await looking;
      },
    };
  }
}

function uploadOf({ robot, fingerprint, path }: SealedUpdate): Upload {
  return { robot, fingerprint, content: path };
}

function* levels(
  seed: string,
  round: number,
  robots: readonly Robot[],
  count: number,
): Generator<Int32Array> {
  for (const { number } of robots) yield levelsOf(seed, round, number, count);
}
