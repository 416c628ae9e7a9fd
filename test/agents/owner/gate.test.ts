import { cp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { z } from 'zod';
import { perturbAdapter } from '../../../lib/adapter/synthetic.js';
import type { HttpFleetApi } from '../../../lib/agents/api/http-fleet-api.js';
import type { GateOptions } from '../../../lib/agents/owner/gate.js';
import { OwnerAgent } from '../../../lib/agents/owner/owner-agent.js';
import { Robot } from '../../../lib/agents/robot/robot.js';
import { type AgentContext, runAgent } from '../../../lib/agents/run-agent.js';
import { type RunOptions, runCustodian } from '../../../lib/agents/run-roles.js';
import { Shutdown } from '../../../lib/agents/shutdown.js';
import { EnvironmentError } from '../../../lib/errors.js';
import { commandEvaluator } from '../../../lib/evaluation/evaluators/command-evaluator.js';
import { NO_TRACING } from '../../../lib/observability/tracing.js';
import { ServedTestFleet } from '../../server/support/served-fleet.js';
import { POLICY, type TestRelease, TestReleases } from '../../server/support/test-releases.js';
import { CollectedLog, eventually } from '../support/collected-log.js';

const EVALUATOR = fileURLToPath(new URL('../support/reaching-evaluator.js', import.meta.url));
const ROBOTS = 4;
const everyRobot = Array.from({ length: ROBOTS }, (_, i) => i + 1);
const CUSTODIANS = [1, 2, 3];
const quick = { pollMs: 150, wakeSpreadMs: 1, backoff: { firstDelayMs: 10, maxDelayMs: 50 } };
/** How far the target is from where everybody starts; what it takes to succeed; how far away bad training leads. */
const TARGET_DEVIATION = 0.002;
const TOLERANCE = 1.5 * TARGET_DEVIATION;
const ASTRAY_DEVIATION = 4 * TARGET_DEVIATION;

const verdictList = z.object({ verdicts: z.array(z.object({ outcome: z.string() })) });
const rolloutList = z.object({ rollouts: z.array(z.object({ release: z.object({ counter: z.int() }) })) });

type Call = 'putVerdict' | 'putRelease' | 'startRollout';
interface Death {
  readonly call: Call;
  /** Whether the service has done its part: then the answer is lost. */
  readonly after: boolean;
}

/** Average, evaluation, verdict, release and rollout by the owner's agent, with all other agents at the real service. */
describe('the gate of the owner’s agent', function () {
  this.timeout(180_000);

  let fleet: ServedTestFleet;
  let releases: TestReleases;
  let first: TestRelease;
  let evaluations = 0;
  let running: { readonly shutdown: Shutdown; readonly ended: Promise<void> }[] = [];
  let logs: CollectedLog[] = [];

  beforeEach(async () => {
    evaluations = 0;
    fleet = await ServedTestFleet.create(ROBOTS);
    await fleet.start();
    releases = new TestReleases(fleet);
    // What the fleet runs, and can go back to.
    first = await releases.publish(await releases.make(fleet.at('adapters', 'start')));
    await perturbAdapter(first.adapter, fleet.at('adapters', 'target'), {
      seed: 'target',
      standardDeviation: TARGET_DEVIATION,
    });
  });
  afterEach(async () => {
    for (const { shutdown } of running) shutdown.stop();
    await Promise.all(running.map(({ ended }) => ended));
    running = [];
    logs = [];
    await fleet.stop();
  });

  const inPlace = (number: number): string => fleet.at('in-place', `${number}`);
  const average = (): string => fleet.at('averages', '1');

  function run(start: (options: RunOptions) => Promise<void>) {
    const log = new CollectedLog();
    logs.push(log);
    const shutdown = new Shutdown(2000);
    const ended = start({ server: fleet.service.address, log, shutdown, tracing: NO_TRACING });
    const agent = { log, shutdown, ended };
    running.push(agent);
    return agent;
  }

  /** Each robot trains on from `goal`, a little differently. */
  async function train(goal: string): Promise<void> {
    for (const number of everyRobot) {
      const trained = fleet.at('adapters', `trained-${number}`);
      await perturbAdapter(goal, trained, { seed: `robot ${number}`, standardDeviation: 0.0005 });
      await cp(trained, fleet.at('training', `${number}`), { recursive: true });
    }
  }

  function runRobotsAndCustodians(): void {
    for (const number of CUSTODIANS) {
      const custodianDirectory = fleet.role(`custodian-${number}`);
      run((options) => runCustodian({ ...options, ...quick }, { custodianDirectory, rotate: false }));
    }
    for (const number of everyRobot) {
      const roleDirectory = fleet.role(`client-${number}`);
      run((options) =>
        runAgent({ ...options, ...quick, role: 'client', roleDirectory }, (context: AgentContext) =>
          Robot.open(
            {
              clientDirectory: roleDirectory,
              adapterDirectory: fleet.at('training', `${number}`),
              baseDirectory: first.adapter,
              releaseDirectory: inPlace(number),
              policyName: POLICY,
              quietMs: 0,
              client: { environment: {} },
            },
            context,
          ),
        ),
      );
    }
  }

  /** It dies at a call: nothing that it does afterwards reaches the service. */
  function runOwner(death?: Death) {
    const command = [process.execPath, EVALUATOR, fleet.at('adapters', 'target'), `${TOLERANCE}`] as const;
    const evaluate = commandEvaluator(command, { timeoutMs: 60_000 });
    const gate: GateOptions = {
      evaluator: (request) => {
        evaluations += 1;
        return evaluate(request);
      },
      evaluatorKind: 'command',
      firstEpisodes: 200,
    };
    const ownerDirectory = fleet.role('owner');
    let isDead = false;
    const agent = run((options) =>
      runAgent({ ...options, ...quick, role: 'owner', roleDirectory: ownerDirectory }, (context) =>
        OwnerAgent.open(
          {
            ownerDirectory,
            coordinatorDirectory: fleet.role('coordinator'),
            policyName: POLICY,
            outDirectory: fleet.at('averages'),
            like: fleet.adapter(1),
            base: first.adapter,
            gate,
            rolePolicy: { environment: {} },
          },
          { ...context, api: mortal(context.api, death, () => isDead, die) },
        ),
      ),
    );
    function die(): never {
      isDead = true;
      agent.shutdown.stop();
      throw new EnvironmentError('http.unreachable', 'the agent is dead');
    }
    return { ...agent, isDead: () => isDead };
  }

  async function runs(number: number, adapter: string): Promise<boolean> {
    const [has, expected] = await Promise.all(
      [inPlace(number), adapter].map((directory) =>
        readFile(join(directory, 'adapter_model.safetensors')).catch(() => undefined),
      ),
    );
    return has !== undefined && expected !== undefined && has.equals(expected);
  }

  async function runningIt(adapter: string): Promise<number> {
    const each = await Promise.all(everyRobot.map((number) => runs(number, adapter)));
    return each.filter(Boolean).length;
  }

  async function outcomes(): Promise<string[]> {
    const { verdicts } = await (await fleet.api('owner')).getJson('/v1/verdicts', verdictList);
    return verdicts.map(({ outcome }) => outcome);
  }

  async function rollouts(): Promise<number[]> {
    const list = await (await fleet.api('owner')).getJson('/v1/rollouts', rolloutList);
    return list.rollouts.map(({ release }) => release.counter);
  }

  it('lets an average pass that is nearer to the target, and robots get it step by step', async () => {
    await train(fleet.at('adapters', 'target'));
    runRobotsAndCustodians();
    const { log } = runOwner();
    await eventually('a rollout', () => log.named('owner.rollout-started').length === 1, logs);
    expect(await outcomes()).to.deep.equal(['passed']);
    expect(log.named('owner.evaluated')[0]?.fields['outcome']).to.equal('passed');
    expect(log.named('owner.released')[0]?.fields['counter']).to.equal(2);
    await eventually('the canary', async () => (await runningIt(average())) === 1, logs);
    expect(await runningIt(first.adapter)).to.equal(ROBOTS - 1);
    expect(await releases.status(2)).to.include({ phase: 'canary' });

    // Steps last an hour each; an operator need not wait.
    const sizes: number[] = [];
    for (let fromStep = 0; ; fromStep += 1) {
      const { phase } = await releases.command(2, 'promote', { fromStep });
      const offered = (await releases.offeredToAll()).filter((counter) => counter === 2).length;
      await eventually('the next step', async () => (await runningIt(average())) === offered, logs);
      sizes.push(offered);
      if (phase === 'full' || offered === ROBOTS) break;
    }
    expect(sizes).to.deep.equal([1, 2, 4]);
    expect(evaluations).to.equal(1);
  });

  it('signs a failed verdict on an average that leads astray, and neither releases nor offers it', async () => {
    const astray = fleet.at('adapters', 'astray');
    await perturbAdapter(first.adapter, astray, { seed: 'astray', standardDeviation: ASTRAY_DEVIATION });
    await train(astray);
    runRobotsAndCustodians();
    const { log, shutdown, ended } = runOwner();
    await eventually('a verdict', () => log.named('owner.evaluated').length > 0, logs);
    expect(await outcomes()).to.deep.equal(['failed']);
    // Whatever is restarted: the verdict stays, and nobody evaluates until it comes out otherwise.
    shutdown.stop();
    await ended;
    const again = runOwner();
    await eventually('the same verdict', () => again.log.named('owner.evaluated').length > 0, logs);
    await eventually('the first release', async () => (await runningIt(first.adapter)) === ROBOTS, logs);
    expect(evaluations).to.equal(1);
    expect(await outcomes()).to.deep.equal(['failed']);
    expect([log, again.log].flatMap((each) => each.named('owner.released'))).to.deep.equal([]);
    expect(await rollouts()).to.deep.equal([]);
    expect(await releases.offeredToAll()).to.deep.equal(everyRobot.map(() => 1));
    expect(await runningIt(average())).to.equal(0);
  });

  it('starts one rollout, wherever between verdict, release and start the agent dies', async () => {
    await train(fleet.at('adapters', 'target'));
    runRobotsAndCustodians();
    const deaths = (['putVerdict', 'putRelease', 'startRollout'] as const).flatMap((call) =>
      [false, true].map((after) => ({ call, after })),
    );
    for (const death of deaths) {
      const dying = runOwner(death);
      const where = `a death ${death.after ? 'after' : 'before'} ${death.call}`;
      await eventually(where, dying.isDead, logs);
      await dying.ended;
    }
    const { log } = runOwner();
    await eventually('a rollout', () => log.named('owner.rollout-started').length === 1, logs);
    await eventually('the canary', async () => (await runningIt(average())) === 1, logs);
    expect(evaluations).to.equal(1);
    expect(await outcomes()).to.deep.equal(['passed']);
    expect(await rollouts()).to.deep.equal([2]);
    expect(await releases.offeredToAll()).to.have.members([1, 1, 1, 2]);
    const made = (await readdir(join(fleet.role('owner'), 'releases'))).filter((name) =>
      name.endsWith('.tgr'),
    );
    expect(made).to.have.length(2);
  });
});

/** An API that ends with its agent. Of the first release, publishing again is nobody's death. */
function mortal(
  real: HttpFleetApi,
  death: Death | undefined,
  isDead: () => boolean,
  die: () => never,
): HttpFleetApi {
  return new Proxy(real, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return async (...parameters: readonly unknown[]): Promise<unknown> => {
        const isFatal = name === death?.call && parameters[0] !== 1;
        if (isDead() || (isFatal && !death.after)) die();
        const result: unknown = await Reflect.apply(value, target, parameters);
        if (isFatal) die();
        return result;
      };
    },
  });
}
