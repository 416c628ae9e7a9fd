/** A server that is killed at any moment of a rollout, as machines that lose power are. */
import { randomInt } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { z } from 'zod';
import type { HttpFleetApi } from '../../lib/agents/api/http-fleet-api.js';
import { isConnectionFailure } from '../../lib/agents/failures.js';
import { OwnerAgent } from '../../lib/agents/owner/owner-agent.js';
import { Robot } from '../../lib/agents/robot/robot.js';
import { runAgent } from '../../lib/agents/run-agent.js';
import { Shutdown } from '../../lib/agents/shutdown.js';
import { rolloutSummarySchema } from '../../lib/server/rollouts/rollout-status.js';
import { CollectedLog } from '../agents/support/collected-log.js';
import { ServedTestFleet } from '../server/support/served-fleet.js';
import {
  BAD,
  GOOD,
  POLICY,
  QUICK_ROLLOUT,
  type TestRelease,
  TestReleases,
} from '../server/support/test-releases.js';
import { randomFrom } from '../support/random.js';
import { KilledServer } from './support/killed-server.js';

const ROBOTS = 4;
const everyRobot = Array.from({ length: ROBOTS }, (_, i) => i + 1);
const KILLS_A_ROLLOUT = 6;
const LONGEST_LIFE_MS = 2500;
const LIMIT_MS = 90_000;
const POLL_MS = 100;
/** In the order in which a rollout that is not paused comes through them. */
const PHASES = ['pending', 'canary', 'progressing', 'full', 'rolling-back', 'rolled-back', 'failed'];
/** While a server is down no robot can report: that much waiting is no reason to ask a person. */
const PATIENT = { analysis: { ...QUICK_ROLLOUT.analysis, inconclusiveLimit: 1000 } };
const quick = { pollMs: 150, wakeSpreadMs: 1, backoff: { firstDelayMs: 10, maxDelayMs: 200 } };

const rolloutList = z.object({ rollouts: z.array(rolloutSummarySchema) });
type Summary = z.infer<typeof rolloutSummarySchema>;

describe('a rollout at a server that is killed again and again', function () {
  this.timeout(3 * LIMIT_MS + 60_000);

  const seed = randomInt(2 ** 31);
  const random = randomFrom(seed);
  const running: { readonly shutdown: Shutdown; readonly ended: Promise<void> }[] = [];
  const logs: CollectedLog[] = [];
  /** Highest number of a report that the server has said it has, by client. */
  const acknowledgedReports = new Map<string, number>();
  /** How far each rollout has been seen to be, by its counter. */
  const seen = new Map<number, { readonly phase: number; readonly step: number }>();
  let fleet: ServedTestFleet;
  let releases: TestReleases;
  let server: KilledServer;
  let address: string;
  let first: TestRelease;
  /** Counters of releases without a passed verdict: nobody may be given these. */
  const forbidden = new Set<number>();
  let kills = 0;

  before(async () => {
    fleet = await ServedTestFleet.create(ROBOTS);
    releases = new TestReleases(fleet);
    server = new KilledServer([
      ...['--host', '127.0.0.1', '--log-level', 'warn'],
      ...['--data', fleet.at('served'), '--aggregator', fleet.role('aggregator')],
    ]);
    address = await server.start();
    fleet.servedAt(address);
    first = await releases.released('first');
    runOwner();
    for (const number of everyRobot) runRobot(number);
  });
  after(async () => {
    for (const { shutdown } of running) shutdown.stop();
    await Promise.all(running.map(({ ended }) => ended));
    await server.kill();
    await fleet.stop();
  });

  const inPlace = (number: number): string => fleet.at('in-place', `${number}`);
  const telemetryOf = (number: number): string => fleet.at('telemetry', `${number}`);

  function run(start: (options: { log: CollectedLog; shutdown: Shutdown }) => Promise<void>): void {
    const [log, shutdown] = [new CollectedLog(), new Shutdown(2000)];
    logs.push(log);
    running.push({ shutdown, ended: start({ log, shutdown }) });
  }

  function runRobot(number: number): void {
    const roleDirectory = fleet.role(`client-${number}`);
    run((options) =>
      runAgent({ ...options, ...quick, server: address, role: 'client', roleDirectory }, (context) =>
        Robot.open(
          {
            clientDirectory: roleDirectory,
            adapterDirectory: fleet.at('training', `${number}`),
            releaseDirectory: inPlace(number),
            telemetryDirectory: telemetryOf(number),
            policyName: POLICY,
          },
          { ...context, api: rememberingReports(context.api, acknowledgedReports) },
        ),
      ),
    );
  }

  /** Signs what goes back. */
  function runOwner(): void {
    const roleDirectory = fleet.role('owner');
    run((options) =>
      runAgent({ ...options, ...quick, server: address, role: 'owner', roleDirectory }, (context) =>
        OwnerAgent.open(
          {
            ownerDirectory: roleDirectory,
            coordinatorDirectory: fleet.role('coordinator'),
            policyName: POLICY,
            outDirectory: fleet.at('averages'),
            like: fleet.at('adapters', 'start'),
            base: fleet.at('adapters', 'third'),
          },
          context,
        ),
      ),
    );
  }

  /** As an operator does: again, until the server has said that it is done. */
  async function untilAcknowledged<T>(what: string, ask: () => Promise<T>): Promise<T> {
    for (const end = Date.now() + LIMIT_MS; ; ) {
      try {
        return await ask();
      } catch (error) {
        if (!isConnectionFailure(error)) throw error;
        if (Date.now() > end) throw new Error(`${what} was not done: ${server.log.slice(-3000)}`);
        await delay(POLL_MS);
      }
    }
  }

  async function listed(): Promise<Summary[]> {
    const owner = await fleet.api('owner');
    return (await owner.getJson('/v1/rollouts', rolloutList)).rollouts;
  }

  /** What may be seen at any moment, whatever has just died. */
  async function expectInOrder(): Promise<void> {
    const rollouts = await listed();
    expect(rollouts.filter(({ phase }) => phase === 'full').length, 'releases at full').to.be.at.most(1);
    expect(
      [...seen.keys()].filter((counter) => !rollouts.some(({ rollout }) => rollout === counter)),
      'rollouts that were lost',
    ).to.deep.equal([]);
    for (const { rollout, phase, step } of rollouts) {
      const now = { phase: PHASES.indexOf(phase), step: step?.index ?? 0 };
      const before = seen.get(rollout) ?? now;
      expect(now.phase, `phase of ${rollout}, ${phase}`).to.be.at.least(before.phase);
      if (now.phase === before.phase) expect(now.step).to.be.at.least(before.step);
      seen.set(rollout, now);
    }
    for (const number of everyRobot) {
      const offered = (await releases.offered(number)) ?? 0;
      expect(forbidden.has(offered), `robot ${number} is given release ${offered}`).to.equal(false);
      for (const counter of forbidden)
        expect(await refusalOf(number, counter)).to.equal('release.not-offered');
    }
  }

  async function refusalOf(number: number, counter: number): Promise<string | undefined> {
    try {
      await releases.offered(number, `/v1/releases/${counter}`);
      return undefined;
    } catch (error) {
      if (isConnectionFailure(error)) throw error;
      return (error as { readonly code?: string }).code;
    }
  }

  async function leaveCounts(release: TestRelease, counts: unknown): Promise<void> {
    for (const number of everyRobot) {
      if (!(await runs(number, release))) continue;
      await mkdir(telemetryOf(number), { recursive: true });
      const whole = join(telemetryOf(number), 'episodes.tmp');
      await writeFile(whole, JSON.stringify(counts));
      await rename(whole, join(telemetryOf(number), 'episodes.json'));
    }
  }

  async function runs(number: number, release: TestRelease): Promise<boolean> {
    const [has, expected] = await Promise.all(
      [inPlace(number), release.adapter].map((directory) =>
        readFile(join(directory, 'adapter_model.safetensors')).catch(() => undefined),
      ),
    );
    return has !== undefined && expected !== undefined && has.equals(expected);
  }

  async function allRun(release: TestRelease): Promise<boolean> {
    return (await Promise.all(everyRobot.map((number) => runs(number, release)))).every(Boolean);
  }

  /** Kills at random moments while things go on, looks at what can be seen, and lets the last server live. */
  async function killUntil(
    what: string,
    isReached: () => Promise<boolean>,
    meanwhile: () => Promise<void> = async () => undefined,
  ): Promise<void> {
    let left = KILLS_A_ROLLOUT;
    let nextKillMs = Date.now() + LONGEST_LIFE_MS * random();
    for (const end = Date.now() + LIMIT_MS; Date.now() < end; ) {
      await meanwhile();
      if (left > 0 && Date.now() >= nextKillMs) {
        await server.killAndStart();
        kills += 1;
        left -= 1;
        nextKillMs = Date.now() + LONGEST_LIFE_MS * random();
      }
      try {
        await expectInOrder();
        if (left === 0 && (await isReached())) return;
      } catch (error) {
        if (!isConnectionFailure(error)) throw error;
      }
      await delay(POLL_MS);
    }
    throw new Error(
      `${what} was not reached:\n${logs.map(String).join('\n--\n')}\n${server.log.slice(-3000)}`,
    );
  }

  const phaseOf = async (counter: number): Promise<string> => (await releases.status(counter)).phase;

  async function released(name: string): Promise<TestRelease> {
    const release = await releases.make(await releases.adapter(name));
    forbidden.add(release.reference.counter);
    return untilAcknowledged('publishing', () => releases.publish(release));
  }

  it(`offers nobody a release whose verdict failed (seed ${seed})`, async () => {
    await killUntil('the first release', () => allRun(first));
    const second = await released('second');
    const { counter } = second.reference;
    await untilAcknowledged('the start', () => releases.start(counter, PATIENT));
    const verdict = await releases.verdict(second.adapter, first.adapter, 'failed');
    const told = untilAcknowledged('the verdict', () => releases.putVerdict(verdict));
    await killUntil('the end', async () => (await phaseOf(counter)) === 'failed');
    await told;
    expect(await allRun(first)).to.equal(true);
  });

  it(`brings one that passed to full, step by step (seed ${seed})`, async () => {
    const third = await released('third');
    const { counter } = third.reference;
    await untilAcknowledged('the start', () => releases.start(counter, PATIENT));
    const verdict = await releases.verdict(third.adapter, first.adapter, 'passed');
    const canBeOffered = async (): Promise<void> => {
      forbidden.delete(counter);
      await untilAcknowledged('the verdict', () => releases.putVerdict(verdict));
    };
    const told = canBeOffered();
    await killUntil(
      'full',
      async () => (await phaseOf(counter)) === 'full' && (await allRun(third)),
      () => leaveCounts(third, GOOD),
    );
    await told;
  });

  it(`goes back from one that does harm (seed ${seed})`, async () => {
    const third: TestRelease = { ...first, adapter: fleet.at('adapters', 'third') };
    const fourth = await released('fourth');
    const { counter } = fourth.reference;
    const verdict = await releases.verdict(fourth.adapter, third.adapter, 'passed');
    forbidden.delete(counter);
    await untilAcknowledged('the verdict', () => releases.putVerdict(verdict));
    await untilAcknowledged('the start', () => releases.start(counter, PATIENT));
    await killUntil(
      'the way back',
      async () => (await phaseOf(counter)) === 'rolled-back',
      () => leaveCounts(fourth, BAD),
    );
    expect(await allRun(third)).to.equal(true);
    expect((await listed()).map(({ rollout, phase }) => `${rollout} ${phase}`).sort()).to.deep.equal([
      '2 failed',
      '3 full',
      '4 rolled-back',
    ]);
  });

  it(`has every report that it ever acknowledged (seed ${seed})`, async () => {
    expect(kills).to.be.at.least(3 * KILLS_A_ROLLOUT);
    for (const { shutdown } of running) shutdown.stop();
    await Promise.all(running.map(({ ended }) => ended));
    await server.kill();
    fleet.servedAt(undefined);
    const { context } = await fleet.start({
      store: { kind: 'embedded', directory: fleet.at('served', 'store') },
    });
    expect([...acknowledgedReports.keys()].sort()).to.deep.equal(everyRobot.map((n) => fleet.clientId(n)));
    for (const [client, sequence] of acknowledgedReports) {
      const last = await context.reports.of(client);
      expect(last?.report.sequence, client).to.be.at.least(sequence);
    }
  });
});

function rememberingReports(real: HttpFleetApi, acknowledged: Map<string, number>): HttpFleetApi {
  return new Proxy(real, {
    get: (target, name) => {
      if (name === 'putReport') {
        return async (report: Parameters<HttpFleetApi['putReport']>[0]): Promise<void> => {
          await target.putReport(report);
          acknowledged.set(report.client, report.sequence);
        };
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
