import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { OwnerAgent } from '../../lib/agents/owner/owner-agent.js';
import { Robot } from '../../lib/agents/robot/robot.js';
import { type AgentContext, runAgent } from '../../lib/agents/run-agent.js';
import { Shutdown } from '../../lib/agents/shutdown.js';
import { ServedTestFleet } from '../server/support/served-fleet.js';
import { BAD, GOOD, POLICY, type TestRelease, TestReleases } from '../server/support/test-releases.js';
import { CollectedLog, eventually } from './support/collected-log.js';

const ROBOTS = 4;
const OFF_LINE = 4;
const quick = { pollMs: 150, wakeSpreadMs: 1, backoff: { firstDelayMs: 10, maxDelayMs: 50 } };

/** The agents of robots and owner against the real service; releases are made as `release create` makes them. */
describe('rollouts through the agents of robots and owner', function () {
  this.timeout(180_000);

  let fleet: ServedTestFleet;
  let releases: TestReleases;
  let first: TestRelease;
  let running: { readonly shutdown: Shutdown; readonly ended: Promise<void> }[] = [];
  let logs: CollectedLog[] = [];

  beforeEach(async () => {
    fleet = await ServedTestFleet.create(ROBOTS);
    await fleet.start();
    releases = new TestReleases(fleet);
    first = await releases.released('first');
  });
  afterEach(async () => {
    await stopAgents();
    await fleet.stop();
  });

  async function stopAgents(): Promise<void> {
    for (const { shutdown } of running) shutdown.stop();
    await Promise.all(running.map(({ ended }) => ended));
    running = [];
  }

  const inPlace = (number: number): string => fleet.at('in-place', `${number}`);
  const telemetryOf = (number: number): string => fleet.at('telemetry', `${number}`);

  function runRobot(number: number): CollectedLog {
    const log = new CollectedLog();
    logs.push(log);
    const shutdown = new Shutdown(2000);
    const roleDirectory = fleet.role(`client-${number}`);
    const options = { server: fleet.service.address, log, shutdown, ...quick };
    const ended = runAgent({ ...options, role: 'client', roleDirectory }, (context: AgentContext) =>
      Robot.open(
        {
          clientDirectory: roleDirectory,
          adapterDirectory: fleet.at('training', `${number}`),
          releaseDirectory: inPlace(number),
          telemetryDirectory: telemetryOf(number),
          policyName: POLICY,
        },
        context,
      ),
    );
    running.push({ shutdown, ended });
    return log;
  }

  function runOwner(): CollectedLog {
    const log = new CollectedLog();
    logs.push(log);
    const shutdown = new Shutdown(2000);
    const options = { server: fleet.service.address, log, shutdown, ...quick };
    const ended = runAgent({ ...options, role: 'owner', roleDirectory: fleet.role('owner') }, (context) =>
      OwnerAgent.open(
        {
          ownerDirectory: fleet.role('owner'),
          coordinatorDirectory: fleet.role('coordinator'),
          // No rounds here: another policy's are none of this agent's business.
          policyName: POLICY,
          outDirectory: fleet.at('averages'),
          like: fleet.at('adapters', 'start'),
          base: first.adapter,
        },
        context,
      ),
    );
    running.push({ shutdown, ended });
    return log;
  }

  /** What a controller does after some episodes. */
  async function leaveCounts(number: number, counts: unknown, name = 'episodes'): Promise<void> {
    await mkdir(telemetryOf(number), { recursive: true });
    const whole = join(telemetryOf(number), `${name}.tmp`);
    await writeFile(whole, JSON.stringify(counts));
    await rename(whole, join(telemetryOf(number), `${name}.json`));
  }

  async function runs(number: number, release: TestRelease): Promise<boolean> {
    const [has, expected] = await Promise.all(
      [inPlace(number), release.adapter].map((directory) =>
        readFile(join(directory, 'adapter_model.safetensors')).catch(() => undefined),
      ),
    );
    return has !== undefined && expected !== undefined && has.equals(expected);
  }

  async function runningIt(release: TestRelease): Promise<number[]> {
    const numbers: number[] = [];
    for (let number = 1; number <= ROBOTS; number += 1) if (await runs(number, release)) numbers.push(number);
    return numbers;
  }

  const everyRobot = Array.from({ length: ROBOTS }, (_, i) => i + 1);

  it('bring a release to one robot, to more, to all, on what the robots themselves report', async () => {
    for (const number of everyRobot) runRobot(number);
    await eventually(
      'the first release at every robot',
      async () => (await runningIt(first)).length === ROBOTS,
      logs,
    );
    const second = await releases.released('second');
    await releases.evaluated(second, first);
    await releases.start(2);
    await eventually('the canary', async () => (await runningIt(second)).length === 1, logs);
    expect((await releases.status(2)).phase).to.equal('canary');
    const full = await releases.until(
      2,
      ({ phase, clients }) => phase === 'full' && clients.asExpected === ROBOTS,
      async () => {
        for (const number of await runningIt(second)) await leaveCounts(number, GOOD);
      },
    );
    expect(full.drift.map(({ status }) => status)).to.deep.equal(everyRobot.map(() => 'as-expected'));
    expect(await runningIt(second)).to.deep.equal(everyRobot);
  });

  it('go back from a canary that does harm, to a release that the owner’s agent signs, also at a robot that was off line', async () => {
    const owner = runOwner();
    for (const number of everyRobot) runRobot(number);
    await eventually(
      'the first release at every robot',
      async () => (await runningIt(first)).length === ROBOTS,
      logs,
    );
    const second = await releases.released('second');
    await releases.evaluated(second, first);
    // All at once after the canary, so that the one that goes off line has it.
    await releases.start(2, { percents: [], minimumDurationSeconds: 0 });
    await eventually(
      'the second release at every robot',
      async () => {
        for (const number of await runningIt(second)) await leaveCounts(number, GOOD);
        return (await runningIt(second)).length === ROBOTS;
      },
      logs,
    );
    await stopAgents();
    logs = [];
    const again = runOwner();
    for (const number of everyRobot.filter((each) => each !== OFF_LINE)) runRobot(number);
    await releases.until(
      2,
      ({ phase }) => phase === 'rolling-back' || phase === 'full',
      async () => {
        for (const number of [1, 2, 3]) await leaveCounts(number, BAD);
      },
    );
    // Where the good counts from before were enough for the last step, an operator looks at the bad ones.
    if ((await releases.status(2)).phase === 'full') await releases.command(2, 'rollback');
    await eventually('a release that goes back', () => again.named('owner.rolled-back').length === 1, logs);
    await eventually(
      'the first adapter at the others',
      async () => (await runningIt(first)).length === 3,
      logs,
    );
    const waiting = await releases.status(2);
    expect(waiting.phase).to.equal('rolling-back');
    expect(await runs(OFF_LINE, second)).to.equal(true);
    runRobot(OFF_LINE);
    await releases.until(2, ({ phase }) => phase === 'rolled-back');
    expect(await runningIt(first)).to.deep.equal(everyRobot);
    expect(owner.named('owner.not-rolled-back')).to.deep.equal([]);

    // It does not return, neither by itself nor because it is released once more.
    const returned = await releases
      .make(second.adapter)
      .catch((error: { readonly code: string }) => error.code);
    expect(returned).to.equal('release.rolled-back');
    // The same start again is answered with what became of it.
    expect(await releases.start(2)).to.include({ phase: 'rolled-back' });
    await stopAgents();
    for (const number of everyRobot) {
      await rm(inPlace(number), { recursive: true, force: true });
      runRobot(number);
    }
    await eventually(
      'the release that goes back',
      async () => (await runningIt(first)).length === ROBOTS,
      logs,
    );
  });

  it('count no episode twice, whatever dies between the file and the service', async () => {
    const log = runRobot(1);
    await eventually('the first release', () => runs(1, first), logs);
    await eventually('its report', () => log.named('robot.reported').length > 0, logs);
    await stopAgents();
    await leaveCounts(1, GOOD, 'a');
    await leaveCounts(1, { ...GOOD, successes: 50 }, 'b');
    await leaveCounts(1, { episodes: 'many' }, 'c');
    // The answer is lost, and the process with it; the next one sends the same report.
    const { reports } = fleet.service.context;
    const keep = reports.keep.bind(reports);
    let kept = 0;
    reports.keep = async (...report) => {
      await keep(...report);
      kept += 1;
      if (kept === 1) throw new Error('the server dies with its answer');
    };
    const next = runRobot(1);
    await eventually('the report', () => next.named('robot.reported').length > 0, logs);
    const last = await reports.of(fleet.clientId(1));
    expect(last?.report.episodes).to.deep.equal({ ...GOOD, episodes: 200, successes: 149 });
    expect(last?.report.runs).to.deep.equal(first.reference);
    expect(next.named('robot.telemetry-refused')).to.have.length(1);
    expect((await readdir(telemetryOf(1))).filter((name) => !name.endsWith('.refused'))).to.deep.equal([]);
    await stopAgents();
    const third = runRobot(1);
    await eventually('another report', () => third.named('robot.reported').length > 0, logs);
    const after = (await reports.of(fleet.clientId(1)))?.report;
    expect(after?.sequence).to.be.greaterThan(last?.report.sequence ?? Number.POSITIVE_INFINITY);
    expect(after?.episodes).to.equal(undefined);
  });
});
