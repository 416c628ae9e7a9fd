/** A site behind a gateway, through real agents and a real service. */
import { cp, readdir } from 'node:fs/promises';
import { expect } from 'chai';
import { z } from 'zod';
import { GatewayAgent } from '../../../lib/agents/gateway/gateway-agent.js';
import { OwnerAgent } from '../../../lib/agents/owner/owner-agent.js';
import { Robot } from '../../../lib/agents/robot/robot.js';
import { runAgent } from '../../../lib/agents/run-agent.js';
import { runCustodian } from '../../../lib/agents/run-roles.js';
import { Shutdown } from '../../../lib/agents/shutdown.js';
import { EnvironmentError } from '../../../lib/errors.js';
import { roundStatusSchema } from '../../../lib/server/rounds/round-status.js';
import { ServedTestFleet } from '../../server/support/served-fleet.js';
import { CollectedLog, eventually } from '../support/collected-log.js';

const roundList = z.object({ rounds: z.array(z.object({ plan: z.string(), round: z.int() })) });
const SITE_ROBOTS = [1, 2, 3];
const OTHER_ROBOTS = [4, 5];

describe('a site behind a gateway', function () {
  this.timeout(120_000);

  const running: { readonly shutdown: Shutdown; readonly ended: Promise<void> }[] = [];
  const logs: CollectedLog[] = [];
  const quick = { pollMs: 200, wakeSpreadMs: 1, backoff: { firstDelayMs: 10, maxDelayMs: 50 } };
  let fleet: ServedTestFleet;
  let server: string;

  function run(start: (options: { server: string; log: CollectedLog; shutdown: Shutdown }) => Promise<void>) {
    const log = new CollectedLog();
    logs.push(log);
    const shutdown = new Shutdown(2000);
    running.push({ shutdown, ended: start({ server, log, shutdown }) });
    return log;
  }

  function runRobot(number: number) {
    const roleDirectory = fleet.role(`client-${number}`);
    return run((options) =>
      runAgent({ ...options, ...quick, role: 'client', roleDirectory }, (context) =>
        Robot.open(
          {
            clientDirectory: roleDirectory,
            adapterDirectory: fleet.at('training', `${number}`),
            baseDirectory: fleet.at('adapters', 'start'),
            quietMs: 0,
            client: { environment: {} },
            ...(SITE_ROBOTS.includes(number) && { gatewayUpdatesDirectory: fleet.at('site') }),
          },
          context,
        ),
      ),
    );
  }

  /** @param brokenSends how often the connection breaks before the service has heard of the partial sum */
  function runGateway(brokenSends: number) {
    const roleDirectory = fleet.role('gateway-1');
    let broken = 0;
    return run((options) =>
      runAgent({ ...options, ...quick, role: 'gateway', roleDirectory }, (context) => {
        const api = new Proxy(context.api, {
          get: (target, name) => {
            if (name === 'putPartialSum' && broken < brokenSends) {
              broken += 1;
              return async () => {
                throw new EnvironmentError('http.unreachable', 'no network');
              };
            }
            const value: unknown = Reflect.get(target, name);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
        return GatewayAgent.open(
          {
            gatewayDirectory: roleDirectory,
            updatesDirectory: fleet.at('site'),
            expectedRobots: SITE_ROBOTS.length,
            sendBeforeMs: 1000,
            rolePolicy: { environment: {} },
          },
          { ...context, api },
        );
      }),
    );
  }

  before(async () => {
    fleet = await ServedTestFleet.create(5, { gateways: 1 });
    server = (await fleet.start()).address;
    for (const number of [...SITE_ROBOTS, ...OTHER_ROBOTS]) {
      await cp(fleet.adapter(number), fleet.at('training', `${number}`), { recursive: true });
    }
  });

  after(async () => {
    for (const { shutdown } of running) shutdown.stop();
    await Promise.all(running.map(({ ended }) => ended));
    await fleet.stop();
  });

  it('sends one partial sum, and its robots are in the average as those that send themselves', async () => {
    const ownerDirectory = fleet.role('owner');
    const owner = run((options) =>
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
            deadlineMs: 60_000,
            rolePolicy: { environment: {} },
          },
          context,
        ),
      ),
    );
    for (const number of [1, 2, 3]) {
      const custodianDirectory = fleet.role(`custodian-${number}`);
      run((options) => runCustodian({ ...options, ...quick }, { custodianDirectory, rotate: false }));
    }
    const gateway = runGateway(2);
    const robots = [...SITE_ROBOTS, ...OTHER_ROBOTS].map((number) => runRobot(number));
    await eventually('an average', () => owner.named('owner.opened').length > 0, logs);

    expect(owner.named('owner.opened')[0]?.fields).to.include({ contributors: 5, verified: true });
    const summed = gateway.named('gateway.summed').map(({ fields }) => fields['partialSum']);
    const sent = gateway.named('gateway.sent').map(({ fields }) => fields['partialSum']);
    expect(summed, 'made once, and sent as it was made').to.have.length(1);
    expect(sent).to.deep.equal(summed);

    const api = await fleet.api('owner');
    const { rounds } = await api.getJson('/v1/rounds', roundList);
    const status = await api.getJson(`/v1/rounds/${rounds[0]?.plan}`, roundStatusSchema);
    const through = status.received.filter((each) => each.gateway === 'gateway-1');
    expect(through.map(({ client }) => client).sort()).to.deep.equal(
      SITE_ROBOTS.map((number) => fleet.clientId(number)),
    );
    expect(new Set(through.map(({ partialSum }) => partialSum))).to.deep.equal(new Set(sent));
    for (const log of robots.slice(0, SITE_ROBOTS.length)) {
      expect(log.named('robot.left-for-gateway')).to.have.length(1);
      expect(log.named('robot.sent')).to.deep.equal([]);
    }
  });

  it('has nothing left of a round once it is closed, and its robots know what became of it', async () => {
    await eventually(
      'an empty directory of the site',
      async () => (await readdir(fleet.at('site'))).length === 0,
      logs,
    );
    await eventually(
      'the close record at each robot',
      () => logs.filter((log) => log.named('robot.round-closed').length > 0).length === 5,
      logs,
    );
  });
});
