import { existsSync } from 'node:fs';
import { cp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { z } from 'zod';
import { perturbAdapter } from '../../lib/adapter/synthetic.js';
import type { HttpFleetApi } from '../../lib/agents/api/http-fleet-api.js';
import { OwnerAgent } from '../../lib/agents/owner/owner-agent.js';
import { Robot } from '../../lib/agents/robot/robot.js';
import { type AgentContext, runAgent } from '../../lib/agents/run-agent.js';
import { runCustodian } from '../../lib/agents/run-roles.js';
import { Shutdown } from '../../lib/agents/shutdown.js';
import { EnvironmentError } from '../../lib/errors.js';
import { type RoundStatus, roundStatusSchema } from '../../lib/server/rounds/round-status.js';
import { adapterValues, normOf } from '../round/support/adapters.js';
import { ServedTestFleet } from '../server/support/served-fleet.js';
import { CollectedLog, eventually } from './support/collected-log.js';

const roundList = z.object({ rounds: z.array(z.object({ plan: z.string(), round: z.int() })) });

/** Robots seal within a second or two; who has not sent by then is late. */
const DEADLINE_MS = 8000;
const HOUR_MS = 3_600_000;
const LATE_ROBOT = 4;

describe('rounds through the agents of robots, custodians and owner', function () {
  this.timeout(180_000);

  const running: { readonly shutdown: Shutdown; readonly ended: Promise<void> }[] = [];
  const logs: CollectedLog[] = [];
  let fleet: ServedTestFleet;
  let server: string;
  let port: number;
  let ownerClockOffsetMs = 0;
  let isNetworkDown = true;
  let late: CollectedLog;

  function run(start: (options: { server: string; log: CollectedLog; shutdown: Shutdown }) => Promise<void>) {
    const log = new CollectedLog();
    logs.push(log);
    const shutdown = new Shutdown(2000);
    running.push({ shutdown, ended: start({ server, log, shutdown }) });
    return log;
  }

  const quick = { pollMs: 200, wakeSpreadMs: 1, backoff: { firstDelayMs: 10, maxDelayMs: 50 } };
  const trainingOf = (number: number): string => fleet.at('training', `${number}`);
  const releasesOf = (number: number): string => fleet.at('releases', `${number}`);

  function runRobot(number: number, change: (api: HttpFleetApi) => Partial<HttpFleetApi> = () => ({})) {
    const roleDirectory = fleet.role(`client-${number}`);
    return run((options) =>
      runAgent({ ...options, ...quick, role: 'client', roleDirectory }, (context: AgentContext) => {
        const changed = change(context.api);
        const api = new Proxy(context.api, {
          get: (target, name) => {
            const value: unknown = Reflect.get(changed, name) ?? Reflect.get(target, name);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
        return Robot.open(
          {
            clientDirectory: roleDirectory,
            adapterDirectory: trainingOf(number),
            baseDirectory: fleet.at('adapters', 'start'),
            releaseDirectory: releasesOf(number),
            quietMs: 0,
            client: { environment: {} },
          },
          { ...context, api },
        );
      }),
    );
  }

  function runOwner() {
    const ownerDirectory = fleet.role('owner');
    return run((options) =>
      runAgent({ ...options, ...quick, role: 'owner', roleDirectory: ownerDirectory }, (context) =>
        OwnerAgent.open(
          {
            ownerDirectory,
            coordinatorDirectory: fleet.role('coordinator'),
            policyName: 'balanced',
            outDirectory: fleet.at('averages'),
            like: fleet.adapter(1),
            base: fleet.at('adapters', 'start'),
            verify: true,
            release: 'auto',
            deadlineMs: DEADLINE_MS,
            rolePolicy: { environment: {} },
          },
          { ...context, now: () => Date.now() + ownerClockOffsetMs },
        ),
      ),
    );
  }

  async function statusOf(round: number): Promise<RoundStatus | undefined> {
    const owner = await fleet.api('owner');
    const { rounds } = await owner.getJson('/v1/rounds', roundList);
    const found = rounds.find((each) => each.round === round);
    return found && owner.getJson(`/v1/rounds/${found.plan}`, roundStatusSchema);
  }

  before(async () => {
    fleet = await ServedTestFleet.create(4);
    const service = await fleet.start();
    server = service.address;
    port = Number(new URL(server).port);
    for (const number of [1, 2, 3, 4]) {
      await cp(fleet.adapter(number), trainingOf(number), { recursive: true });
    }
  });

  after(async () => {
    for (const { shutdown } of running) shutdown.stop();
    await Promise.all(running.map(({ ended }) => ended));
    await fleet.stop();
  });

  it('end in an average of those who sent in time, whoever is restarted, and in a release at every robot', async () => {
    const owner = runOwner();
    for (const number of [1, 2, 3]) runCustodianAgent(number);
    const robots = [1, 2, 3].map((number) => runRobot(number));
    late = runRobot(LATE_ROBOT, () => ({
      uploadProgress: async () => {
        if (isNetworkDown) throw new EnvironmentError('http.unreachable', 'no network for uploads');
        return undefined;
      },
    }));
    await eventually('a first update', () => robots.some((log) => log.named('robot.sent').length > 0), [
      owner,
      ...robots,
    ]);
    await fleet.stop();
    await fleet.start({ port });
    await eventually(
      'a release at the robots',
      () => [1, 2, 3].every((n) => existsSync(releasesOf(n))),
      logs,
    );

    const status = await statusOf(1);
    expect(status).to.include({ phase: 'released' });
    expect(status?.received.map(({ client }) => client).sort()).to.deep.equal(
      [1, 2, 3].map((n) => fleet.clientId(n)),
    );
    expect(late.named('robot.sealed')).to.have.length(1);
    expect(owner.named('owner.opened')[0]?.fields).to.include({ contributors: 3, verified: true });
    await expectAverage(fleet.at('averages', '1'), [1, 2, 3]);
    for (const number of [1, 2, 3]) await expectSameAdapter(releasesOf(number), fleet.at('averages', '1'));
  });

  it('take the same delta of a late robot into the next round, and a new one of the others', async () => {
    await eventually(
      'a close record at the late robot',
      async () => {
        isNetworkDown = false;
        return logs.some((log) =>
          log.named('robot.round-closed').some(({ fields }) => fields['outcome'] === 'not-opened'),
        );
      },
      logs,
    );
    for (const number of [1, 2, 3]) {
      const next = fleet.at('training', `${number}-next`);
      await perturbAdapter(releasesOf(number), next, { seed: `second training of ${number}` });
      await rm(join(next, 'README.md'), { force: true });
      await cp(next, trainingOf(number), { recursive: true });
    }
    // The envelope's interval is an hour.
    ownerClockOffsetMs = HOUR_MS;
    await eventually('a second average', async () => (await statusOf(2))?.phase === 'released', logs);
    const status = await statusOf(2);
    expect(status?.received).to.have.length(4);
    expect(status?.received.map(({ client }) => client)).to.include(fleet.clientId(LATE_ROBOT));
    const [first, second] = late.named('robot.sealed').map(({ fields }) => fields);
    expect(second?.['snapshot']).to.equal(first?.['snapshot']);
    expect(second?.['update']).to.not.equal(first?.['update']);
    await eventually(
      'the second release',
      async () => isSameAdapter(releasesOf(1), fleet.at('averages', '2')),
      logs,
    );
  });

  function runCustodianAgent(number: number) {
    const custodianDirectory = fleet.role(`custodian-${number}`);
    return run((options) => runCustodian({ ...options, ...quick }, { custodianDirectory, rotate: false }));
  }

  /** Quantized, and nothing else: what a client's values are moved by is far below what it learned. */
  async function expectAverage(directory: string, numbers: readonly number[]): Promise<void> {
    const start = await adapterValues(fleet.at('adapters', 'start'));
    const average = await adapterValues(directory);
    const trained = await Promise.all(numbers.map((number) => adapterValues(fleet.adapter(number))));
    const [error, step] = [new Map<string, Float32Array>(), new Map<string, Float32Array>()];
    for (const [name, from] of start) {
      const mean = from.map(
        (_, i) => trained.reduce((sum, each) => sum + at(each, name, i), 0) / numbers.length,
      );
      step.set(
        name,
        mean.map((value, i) => value - at(start, name, i)),
      );
      error.set(
        name,
        mean.map((value, i) => value - at(average, name, i)),
      );
    }
    expect(normOf(error) / normOf(step)).to.be.lessThan(0.25);
  }
});

function at(values: ReadonlyMap<string, Float32Array>, name: string, index: number): number {
  return values.get(name)?.[index] as number;
}

async function isSameAdapter(left: string, right: string): Promise<boolean> {
  const [a, b] = await Promise.all(
    [left, right].map((directory) => readFile(join(directory, 'adapter_model.safetensors'))),
  );
  return (a as Buffer).equals(b as Buffer);
}

async function expectSameAdapter(left: string, right: string): Promise<void> {
  expect(await isSameAdapter(left, right), `${left} and ${right}`).to.equal(true);
}
