import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { perturbAdapter } from '../../../lib/adapter/synthetic.js';
import { AgentDirectory } from '../../../lib/agents/agent-directory.js';
import type { WorkItem } from '../../../lib/agents/api/work-items.js';
import { RetrySchedule } from '../../../lib/agents/retry-schedule.js';
import { Robot } from '../../../lib/agents/robot/robot.js';
import { RosterSync } from '../../../lib/agents/roster-sync.js';
import { openRole } from '../../../lib/custody/role-directory.js';
import { readTrustedPlan } from '../../../lib/custody/trusted-plan.js';
import { robotReportSchema } from '../../../lib/observability/robot-report.js';
import { closeRound } from '../../../lib/round/close-round.js';
import { openOwner } from '../../../lib/round/owner-directory.js';
import { SMALL_SHAPES } from '../../cli/support/small-round.js';
import { signAgain } from '../../round/support/forgery.js';
import { type PlannedFile, ServedTestFleet } from '../../server/support/served-fleet.js';
import { expectRefusal } from '../../support/refusals.js';
import { CollectedLog } from '../support/collected-log.js';
import { FakeService } from '../support/fake-service.js';

const ROBOTS = 11;

describe('a robot', function () {
  this.timeout(60_000);

  let fleet: ServedTestFleet;
  let service: FakeService;
  let log: CollectedLog;
  let training: string;
  let trainingFile: string | undefined;
  let now: number;
  /** Each test has a robot of its own. */
  let number = 0;

  before(async () => {
    fleet = await ServedTestFleet.create(ROBOTS);
  });

  beforeEach(async () => {
    number += 1;
    service = new FakeService();
    log = new CollectedLog();
    now = Date.now();
    training = fleet.at('training', `${number}`);
    trainingFile = undefined;
    await cp(fleet.adapter(number), training, { recursive: true });
  });

  const clientDirectory = (): string => fleet.role(`client-${number}`);

  /** One step of a robot that was started just now: what it does not remember on the disk, it does not know. */
  function stepAfterRestart(steps = 1): Promise<void> {
    return AgentDirectory.use(clientDirectory(), async (directory) => {
      const robot = await Robot.open(
        {
          clientDirectory: clientDirectory(),
          adapterDirectory: training,
          baseDirectory: fleet.at('adapters', 'start'),
          trainingFile,
          quietMs: 0,
          client: { environment: {} },
        },
        {
          api: service,
          id: fleet.clientId(number),
          directory,
          roster: new RosterSync({ api: service, directory: clientDirectory(), log }),
          log,
          retries: new RetrySchedule({ now: () => now, random: () => 1 }),
          now: () => now,
        },
      );
      for (let i = 0; i < steps; i += 1) await robot.step();
    });
  }

  async function openPlan(round: number): Promise<PlannedFile & { readonly item: WorkItem }> {
    const planned = await fleet.plan(round, { deadlineMs: 3_600_000 });
    service.plans.set(planned.plan, planned.bytes);
    const deadlineMs = Date.now() + 3_600_000;
    const { plan } = planned;
    return { ...planned, item: { kind: 'seal', plan, policy: 'balanced', cohort: 'all', round, deadlineMs } };
  }

  async function closeUnopened({ plan, path }: PlannedFile): Promise<WorkItem> {
    const { owner, role } = await openOwner(fleet.role('owner'), { environment: {} });
    const trusted = await readTrustedPlan(path, role.roster);
    const { record } = await closeRound(owner, trusted, undefined, 'below the quorum');
    role.close();
    service.closes.set(plan, record);
    return { kind: 'closed', plan };
  }

  function sentFor({ plan }: PlannedFile): string[] {
    return [...(service.updates.get(plan)?.keys() ?? [])];
  }

  async function train(seed: string): Promise<void> {
    const next = fleet.at(`training-${number}-${seed}`);
    await perturbAdapter(fleet.at('adapters', 'start'), next, { seed });
    await rm(training, { recursive: true });
    await cp(next, training, { recursive: true });
  }

  it('sends one update for a plan, the same however often it is restarted', async () => {
    const plan = await openPlan(1);
    service.items = [plan.item];
    await stepAfterRestart();
    const first = sentFor(plan);
    expect(first, String(log)).to.have.length(1);
    const bytes = service.updates.get(plan.plan)?.get(first[0] ?? '');
    service.updates.clear();
    await stepAfterRestart();
    expect(sentFor(plan)).to.deep.equal(first);
    expect(
      Buffer.from(service.updates.get(plan.plan)?.get(first[0] ?? '') ?? []).equals(bytes ?? Buffer.of()),
    );
    expect(log.named('robot.sealed')).to.have.length(1);
  });

  it('sends what it had sealed when the connection broke, even if the trainer is further by then', async () => {
    const plan = await openPlan(1);
    service.items = [plan.item];
    service.breakAt('putUpdate');
    service.breakAt('putEnvelope');
    await expectRefusal('http.unreachable', () => stepAfterRestart());
    const sealed = await readdir(join(clientDirectory(), 'sealed'));
    expect(sealed).to.have.length(1);
    service.mend();
    await train('second');
    await stepAfterRestart();
    expect(sentFor(plan).map((update) => `${update}.tgu`)).to.deep.equal(sealed);
  });

  it('looks at the trainer while there is no network', async () => {
    service.breakAt('work', 2);
    await expectRefusal('http.unreachable', () => stepAfterRestart());
    await train('second');
    await expectRefusal('http.unreachable', () => stepAfterRestart());
    expect(log.named('robot.snapshot')).to.have.length(2);
    const plan = await openPlan(1);
    service.items = [plan.item];
    await stepAfterRestart();
    expect(sentFor(plan)).to.have.length(1);
  });

  it('seals a delta again for a later round, once a close record does not list it', async () => {
    const [first, second] = [await openPlan(1), await openPlan(2)];
    service.items = [first.item];
    await stepAfterRestart();
    service.items = [second.item];
    await stepAfterRestart();
    expect(sentFor(second)).to.deep.equal([]);
    expect(log.named('robot.not-sent')[0]?.fields).to.include({ code: 'client.delta-consumed' });
    service.items = [await closeUnopened(first), second.item];
    await stepAfterRestart();
    expect(sentFor(second)).to.have.length(1);
    expect(sentFor(second)).to.not.deep.equal(sentFor(first));
    expect(log.named('robot.round-closed')[0]?.fields).to.include({ outcome: 'not-opened' });
  });

  it('does not try in a circle what is refused, and tries a new training at once', async () => {
    const [first, second] = [await openPlan(1), await openPlan(2)];
    service.items = [first.item];
    await stepAfterRestart();
    service.items = [second.item];
    const before = service.count('plan');
    await stepAfterRestart(5);
    expect(service.count('plan') - before).to.equal(1);
    await train('second');
    await stepAfterRestart();
    expect(sentFor(second)).to.have.length(1);
  });

  it('reports what it measured once, and under numbers that only grow, across restarts too', async () => {
    const planned = await openPlan(1);
    service.items = [planned.item];
    await stepAfterRestart();
    const [first] = service.reports;
    expect(first).to.include({ client: fleet.clientId(number), policy: 'balanced' });
    expect(first?.latenciesMs?.upload).to.be.greaterThan(0);
    expect(first?.latenciesMs).not.to.have.property('apply');
    expect(robotReportSchema.parse(first)).to.deep.equal(first);
    // Started anew, it knows of no policy before there is a round.
    service.items = [];
    await stepAfterRestart(2);
    expect(service.reports).to.have.length(1);
    service.items = [planned.item];
    await stepAfterRestart(3);
    // What is known is not said again before ten minutes have passed.
    expect(service.reports).to.have.length(2);
    const [, second] = service.reports;
    expect(second?.sequence).to.be.greaterThan(first?.sequence ?? Number.NaN);
    expect(second).not.to.have.property('latenciesMs');
  });

  it('reports what the last update cost and which experts it taught, also after a restart', async () => {
    trainingFile = fleet.at(`training-${number}.json`);
    await writeFile(trainingFile, JSON.stringify({ experts: { vision: 0.25, action: 1 } }));
    const planned = await openPlan(1);
    service.items = [planned.item];
    await stepAfterRestart();
    const [first] = service.reports;
    const [update = ''] = sentFor(planned);
    const bytes = service.updates.get(planned.plan)?.get(update);
    const parameters = SMALL_SHAPES.reduce(
      (sum, { shape: [rows = 0, columns = 0] }) => sum + rows * columns,
      0,
    );
    expect(first?.sealed).to.deep.equal({
      parameters,
      originalBytes: 4 * parameters,
      sealedBytes: bytes?.length,
    });
    expect(first?.experts).to.deep.equal({ vision: 0.25, action: 1 });
    // Nothing was lost before the first round.
    expect(first?.residualNorm).to.equal(0);
    await stepAfterRestart();
    const last = service.reports.at(-1);
    expect(last?.sequence).to.be.greaterThan(first?.sequence ?? Number.NaN);
    expect(last?.sealed).to.deep.equal(first?.sealed);
    expect(last?.experts).to.deep.equal(first?.experts);
    expect(last).not.to.have.any.keys('residualNorm', 'latenciesMs');
  });

  it('takes a close record once', async () => {
    const plan = await openPlan(1);
    service.items = [plan.item];
    await stepAfterRestart();
    service.items = [await closeUnopened(plan)];
    await stepAfterRestart(3);
    await stepAfterRestart();
    expect(service.count('close')).to.equal(1);
  });

  it('believes no close record but the owner’s own of that round', async () => {
    const [first, second] = [await openPlan(1), await openPlan(2)];
    service.items = [first.item];
    await stepAfterRestart();
    const closed = await closeUnopened(first);
    const record = service.closes.get(first.plan) as Uint8Array;
    const aggregator = await openRole(fleet.role('aggregator'), 'aggregator');
    aggregator.close();
    service.closes.set(first.plan, await signAgain('close', record, aggregator.signing));
    await closeUnopened(second);
    service.items = [closed];
    await stepAfterRestart();
    service.closes.set(first.plan, service.closes.get(second.plan) as Uint8Array);
    await stepAfterRestart();
    const codes = log.named('robot.close-refused').map(({ fields }) => fields['code']);
    expect(codes).to.deep.equal(['container.wrong-signer', 'agent.wrong-file']);
    const third = await openPlan(3);
    service.items = [third.item];
    await stepAfterRestart();
    expect(sentFor(third)).to.deep.equal([]);
  });

  it('does not seal for a plan that it did not ask for', async () => {
    const [first, second] = [await openPlan(1), await openPlan(2)];
    service.plans.set(first.plan, second.bytes);
    service.items = [first.item];
    await stepAfterRestart();
    expect(log.named('robot.not-sent')[0]?.fields).to.include({ code: 'agent.wrong-file' });
    expect(await readdir(join(clientDirectory(), 'sealed'))).to.deep.equal([]);
  });

  it('keeps only what it may have to send', async () => {
    for (const seed of ['second', 'third', 'fourth']) {
      await stepAfterRestart();
      await train(seed);
    }
    await stepAfterRestart();
    const kept = await readdir(join(clientDirectory(), 'agent', 'snapshots'));
    expect(kept).to.have.length(1);
    const newest = await readFile(join(training, 'adapter_model.safetensors'));
    const path = join(clientDirectory(), 'agent', 'snapshots', kept[0] ?? '', 'adapter_model.safetensors');
    expect((await readFile(path)).equals(newest)).to.equal(true);
  });
});
