import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { AgentDirectory } from '../../../lib/agents/agent-directory.js';
import { CustodianAgent } from '../../../lib/agents/custodian/custodian-agent.js';
import { ApiRefusedError } from '../../../lib/agents/http/api-errors.js';
import { RetrySchedule } from '../../../lib/agents/retry-schedule.js';
import { RosterSync } from '../../../lib/agents/roster-sync.js';
import { rotationState } from '../../../lib/custody/keys/rotation.js';
import { openKeyStore } from '../../../lib/custody/role-directory.js';
import { custodyStatusSchema } from '../../../lib/observability/custody-status.js';
import { openContainer } from '../../../lib/package/reader.js';
import { createMembers, rosterBody, signRoster } from '../../round/support/members.js';
import { type PlannedFile, ServedTestFleet } from '../../server/support/served-fleet.js';
import { expectRefusal } from '../../support/refusals.js';
import { CollectedLog } from '../support/collected-log.js';
import { FakeService, sumUpdates } from '../support/fake-service.js';

const CUSTODIAN = 'custodian-1';
const HOUR_MS = 3_600_000;

describe('a custodian’s agent', function () {
  this.timeout(60_000);

  let fleet: ServedTestFleet;
  let service: FakeService;
  let log: CollectedLog;
  let planned: PlannedFile;
  let updates: string[];
  let now: number;
  let sums = 0;

  before(async () => {
    fleet = await ServedTestFleet.create(4);
    planned = await fleet.plan(1, { deadlineMs: HOUR_MS });
    updates = [];
    for (const number of [1, 2, 3, 4]) updates.push((await fleet.seal(number, planned.path)).path);
  });

  beforeEach(() => {
    service = new FakeService();
    log = new CollectedLog();
    now = Date.now();
    service.plans.set(planned.plan, planned.bytes);
  });

  const directory = (): string => fleet.role(CUSTODIAN);

  function stepsAfterRestart(steps = 1, options: { rotate?: boolean; afterEach?: () => void } = {}) {
    return AgentDirectory.use(directory(), async (agentDirectory) => {
      const agent = new CustodianAgent(
        {
          custodianDirectory: directory(),
          custodian: CUSTODIAN,
          rotate: false,
          rolePolicy: { environment: {} },
          ...options,
        },
        {
          api: service,
          directory: agentDirectory,
          roster: new RosterSync({ api: service, directory: directory(), log }),
          log,
          retries: new RetrySchedule({ now: () => now, random: () => 1 }),
          now: () => now,
        },
      );
      for (let i = 0; i < steps; i += 1) {
        await agent.step();
        options.afterEach?.();
      }
    });
  }

  /** The service asks for an answer for the sum of these updates. */
  async function ask(summed: readonly string[]): Promise<void> {
    sums += 1;
    const path = fleet.at(`${sums}.tga`);
    const { aggregate, set } = await sumUpdates(fleet, planned.path, summed, path);
    service.aggregates.set(planned.plan, path);
    service.items = [{ kind: 'answer', plan: planned.plan, set, aggregate }];
  }

  const answers = (): Uint8Array[] => service.answers.get(`${planned.plan} ${CUSTODIAN}`) ?? [];

  it('refuses what is not what it was asked about, and tells the service', async () => {
    await ask(updates.slice(0, 3));
    const first = service.aggregates.get(planned.plan) as string;
    await ask(updates);
    service.aggregates.set(planned.plan, first);
    await stepsAfterRestart();
    expect(answers()).to.deep.equal([]);
    expect(service.refusals.map(({ code }) => code)).to.deep.equal(['agent.wrong-file']);
  });

  it('answers once, and gives the same answer again where the service did not hear it', async () => {
    await ask(updates);
    service.breakAt('putAnswer');
    await expectRefusal('http.unreachable', () => stepsAfterRestart());
    await stepsAfterRestart();
    const [lost, again] = answers();
    expect(answers()).to.have.length(2);
    expect(Buffer.from(lost ?? []).equals(again ?? Buffer.of())).to.equal(true);
    expect(log.named('custodian.answered')[0]?.fields).to.include({ contributors: 4, replayed: true });
    expect(await readdir(join(directory(), 'agent', 'tmp'))).to.deep.equal([]);
  });

  it('refuses a second set of the round for good, and says why', async () => {
    await ask(updates.slice(0, 3));
    await stepsAfterRestart(4, {
      afterEach: () => {
        now += 24 * HOUR_MS;
      },
    });
    expect(answers()).to.deep.equal([]);
    expect(service.refusals).to.have.length(1);
    expect(service.refusals[0]).to.include({ custodian: CUSTODIAN, code: 'ledger.round-already-answered' });
    expect(service.count('downloadAggregate')).to.equal(1);
    expect(log.named('custodian.refused')).to.have.length(1);
  });

  it('does not call it a refusal when the machine lacks something, and tries later', async () => {
    await ask(updates);
    service.aggregates.set(planned.plan, fleet.at('is-not-there.tga'));
    service.downloadAggregate = async () => undefined;
    await stepsAfterRestart(3);
    expect(service.refusals).to.deep.equal([]);
    expect(log.named('custodian.not-answered')).to.have.length(1);
    expect(log.named('custodian.not-answered')[0]?.fields).to.include({ code: 'container.unreadable' });
  });

  it('says how its keys stand, at once and every ten minutes, and gives none of them away', async () => {
    service.items = [];
    await stepsAfterRestart(4, {
      afterEach: () => {
        now += 400_000;
      },
    });
    const { custodyStatuses: sent } = service;
    expect(sent.map(({ atMs }) => atMs - (sent[0]?.atMs ?? 0))).to.deep.equal([0, 800_000]);
    const [status] = sent;
    expect(custodyStatusSchema.parse(status)).to.deep.equal(status);
    expect(status?.keys.map(({ name, state }) => [name, state])).to.deep.include(['kem-1', 'active']);
    expect(status?.audit).to.include({ whole: true });
    const store = await openKeyStore(directory(), 'custodian');
    expect(status?.audit.head).to.equal(Buffer.from(store.auditHead().hash).toString('hex'));
    const [due] = [rotationState(store, 24).dueAtMs];
    store.close();
    expect(status?.rotation).to.deep.equal({ dueAtMs: due, pending: false });
  });

  it('goes on with its work where nobody takes its word', async () => {
    await ask(updates);
    service.putCustodyStatus = async () => {
      throw new ApiRefusedError('request.not-found', 'no such route', 404);
    };
    await stepsAfterRestart(2);
    expect(answers().length).to.be.greaterThan(0);
    expect(log.named('custodian.status-not-sent')).to.have.length(1);
  });

  it('makes the key of the next epoch when it is due, and asks to enrol it until a roster lists it', async () => {
    await stepsAfterRestart(1, { rotate: true });
    expect(service.enrolments).to.deep.equal([]);
    now += 25 * HOUR_MS;
    await stepsAfterRestart(3, {
      rotate: true,
      afterEach: () => {
        now += HOUR_MS;
      },
    });
    expect(service.enrolments).to.have.length(1);
    await stepsAfterRestart(7, {
      rotate: true,
      afterEach: () => {
        now += HOUR_MS;
      },
    });
    expect(service.enrolments).to.have.length(3);
    const [first, , last] = service.enrolments;
    const [a, b] = await Promise.all(
      [first, last].map((file) => openContainer(file ?? new Uint8Array(), 'enrolment')),
    );
    expect(a?.body).to.include({ role: 'custodian', id: CUSTODIAN, epoch: 2 });
    expect(Buffer.from(a?.body.kem ?? []).equals(b?.body.kem ?? Buffer.of())).to.equal(true);
  });

  it('goes on under its own roster where it is offered one that is not the owner’s', async () => {
    const others = await createMembers({ clients: 3, custodians: 4 });
    service.newestRoster = await signRoster(others, rosterBody(others, { version: 2, threshold: 3 }));
    await stepsAfterRestart(2);
    expect(log.named('roster.refused').map(({ fields }) => fields['code'])).to.deep.equal([
      'roster.other-owner',
    ]);
    expect(service.count('work')).to.equal(2);
  });
});
