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
import { type RunOptions, runCustodian } from '../../lib/agents/run-roles.js';
import { Shutdown } from '../../lib/agents/shutdown.js';
import type { Role } from '../../lib/custody/keys/key-rows.js';
import { EnvironmentError } from '../../lib/errors.js';
import { tracingFrom } from '../../lib/observability/otlp/otlp-tracing.js';
import type { TelemetryRecord } from '../../lib/observability/records.js';
import { NO_TRACING, type RoundTracing, roundTraceIds } from '../../lib/observability/tracing.js';
import { type RoundStatus, roundStatusSchema } from '../../lib/server/rounds/round-status.js';
import { OtlpCollector, withEnvironment } from '../observability/support/otlp-collector.js';
import { adapterValues, normOf } from '../round/support/adapters.js';
import { ServedTestFleet } from '../server/support/served-fleet.js';
import { CollectedLog, eventually } from './support/collected-log.js';

const roundList = z.object({ rounds: z.array(z.object({ plan: z.string(), round: z.int() })) });

/** Robots seal within a second or two; who has not sent by then is late. */
const DEADLINE_MS = 8000;
const HOUR_MS = 3_600_000;
const LATE_ROBOT = 4;
/** It is rounds that are looked at here, one after the other: releases are rolled out in `rollout.test.ts`. */
const AT_ONCE = { releases: 'immediate' } as const;

describe('rounds through the agents of robots, custodians and owner', function () {
  this.timeout(180_000);

  const running: { readonly shutdown: Shutdown; readonly ended: Promise<void> }[] = [];
  const logs: CollectedLog[] = [];
  let fleet: ServedTestFleet;
  let collector: OtlpCollector;
  let restoreEnvironment: () => void;
  const tracing = new Map<Role, RoundTracing>();
  let server: string;
  let port: number;
  let ownerClockOffsetMs = 0;
  let isNetworkDown = true;
  let late: CollectedLog;

  function run(role: Role, start: (options: RunOptions) => Promise<void>) {
    const log = new CollectedLog();
    logs.push(log);
    const shutdown = new Shutdown(2000);
    running.push({
      shutdown,
      ended: start({ server, log, shutdown, tracing: tracing.get(role) ?? NO_TRACING }),
    });
    return log;
  }

  const quick = { pollMs: 200, wakeSpreadMs: 1, backoff: { firstDelayMs: 10, maxDelayMs: 50 } };
  const trainingOf = (number: number): string => fleet.at('training', `${number}`);
  const releasesOf = (number: number): string => fleet.at('releases', `${number}`);

  function runRobot(number: number, change: (api: HttpFleetApi) => Partial<HttpFleetApi> = () => ({})) {
    const roleDirectory = fleet.role(`client-${number}`);
    return run('client', (options) =>
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
    return run('owner', (options) =>
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
    collector = await OtlpCollector.start();
    restoreEnvironment = withEnvironment({ ...collector.environment, OTEL_BSP_SCHEDULE_DELAY: '100' });
    for (const role of ['client', 'custodian', 'owner'] as const) {
      tracing.set(role, await tracingFrom(collector.environment, { role, version: '0.0.0' }));
    }
    const service = await fleet.start({ ...AT_ONCE, environment: collector.environment });
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
    restoreEnvironment();
    await collector.stop();
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
    await fleet.start({ ...AT_ONCE, port, environment: collector.environment });
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

  it('leave records: how long it took to encrypt, to sum and to decrypt, and how every custodian stands', async () => {
    const { records, custody } = fleet.service.context.telemetry;
    await eventually(
      'a record of the opening',
      async () => (await records.newest(10, 'latency')).some((each) => 'decrypt' in stagesOf(each)),
      logs,
    );
    const stages = Object.assign({}, ...(await records.newest(10, 'latency')).map(stagesOf));
    expect(Object.keys(stages)).to.include.members(['encrypt', 'aggregate', 'decrypt']);
    expect(stages.decrypt.median).to.be.greaterThan(0);
    const { reports } = fleet.service.context;
    await eventually(
      'reports of the release that robots run',
      async () => (await reports.list()).filter(({ report }) => report.runs?.counter === 1).length >= 3,
      logs,
    );
    for (const number of [1, 2, 3]) {
      expect((await custody.of(`custodian-${number}`))?.status.audit.whole).to.equal(true);
    }
  });

  it('leave one trace a round, with the parts of all four roles in it', async () => {
    const plan = (await statusOf(1))?.plan ?? '';
    const { traceId, rootSpanId } = roundTraceIds(plan);
    const parts = (): Set<string> =>
      new Set(
        collector.spans
          .filter((span) => span.traceId === traceId)
          .map(
            ({ service, name, parentSpanId }) =>
              `${service} ${name}${parentSpanId === rootSpanId ? '' : ' (root)'}`,
          ),
      );
    const expected = [
      'tensorguard-owner plan',
      'tensorguard-client seal',
      'tensorguard-client upload',
      'tensorguard-aggregator receive',
      'tensorguard-aggregator aggregate',
      'tensorguard-custodian answer',
      'tensorguard-owner decrypt',
      'tensorguard-owner release',
      'tensorguard-client apply',
      'tensorguard-aggregator round (root)',
    ];
    await eventually('all spans', () => expected.every((part) => parts().has(part)), logs, 20_000).catch(
      () => undefined,
    );
    expect([...parts()].sort()).to.deep.equal(expected.sort());
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
    return run('custodian', (options) =>
      runCustodian({ ...options, ...quick }, { custodianDirectory, rotate: false }),
    );
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

function stagesOf(record: TelemetryRecord): Record<string, { readonly median: number }> {
  return record.kind === 'latency' ? record.stagesMs : {};
}

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
