import { existsSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { AgentDirectory } from '../../../lib/agents/agent-directory.js';
import { OwnerAgent, type OwnerAgentOptions } from '../../../lib/agents/owner/owner-agent.js';
import { RetrySchedule } from '../../../lib/agents/retry-schedule.js';
import { answerRound } from '../../../lib/custody/custodian.js';
import { openCustodian } from '../../../lib/custody/custodian-directory.js';
import { KeyStore } from '../../../lib/custody/keys/key-store.js';
import { rotate } from '../../../lib/custody/keys/rotation.js';
import { openRole } from '../../../lib/custody/role-directory.js';
import { pinnedOwner } from '../../../lib/custody/roster-pin.js';
import { readTrustedPlan } from '../../../lib/custody/trusted-plan.js';
import { hex } from '../../../lib/package/messages/common.js';
import { openContainer } from '../../../lib/package/reader.js';
import { issueRoster } from '../../../lib/round/enrolment/issue-roster.js';
import { joinFleet } from '../../../lib/round/enrolment/join-fleet.js';
import { writeEnrolment } from '../../../lib/round/enrolment/set-up-member.js';
import { signAgain } from '../../round/support/forgery.js';
import { type PlannedFile, ServedTestFleet } from '../../server/support/served-fleet.js';
import { expectRefusal } from '../../support/refusals.js';
import { CollectedLog } from '../support/collected-log.js';
import { FakeService, sumUpdates } from '../support/fake-service.js';

const HOUR_MS = 3_600_000;

describe('the owner’s agent', function () {
  this.timeout(60_000);

  let fleet: ServedTestFleet;
  let service: FakeService;
  let log: CollectedLog;
  let now: number;
  /** Each test has a round of its own: custodians answer for none twice. */
  let round = 0;

  before(async () => {
    fleet = await ServedTestFleet.create(4);
  });

  beforeEach(async () => {
    round += 1;
    await rm(join(fleet.role('owner'), 'agent'), { recursive: true, force: true });
    service = new FakeService();
    log = new CollectedLog();
    now = Date.now();
  });

  function stepsAfterRestart(
    steps = 1,
    options: Partial<OwnerAgentOptions> = {},
    afterEach: () => void = () => undefined,
  ): Promise<void> {
    const ownerDirectory = fleet.role('owner');
    return AgentDirectory.use(ownerDirectory, async (directory) => {
      const agent = await OwnerAgent.open(
        {
          ownerDirectory,
          coordinatorDirectory: fleet.role('coordinator'),
          policyName: 'balanced',
          outDirectory: fleet.at('averages'),
          like: fleet.at('adapters', 'start'),
          rolePolicy: { environment: {} },
          ...options,
        },
        {
          api: service,
          directory,
          log,
          retries: new RetrySchedule({ now: () => now, random: () => 1 }),
          now: () => now,
        },
      );
      for (let i = 0; i < steps; i += 1) {
        await agent.step();
        afterEach();
      }
    });
  }

  const onlyPlan = async () => {
    expect([...service.plans.keys()], String(log)).to.have.length(1);
    const [plan, file] = [...service.plans][0] as [string, Uint8Array];
    return { plan, file, body: (await openContainer(file, 'plan')).body };
  };

  describe('once the custodians have moved to another epoch', () => {
    let own: ServedTestFleet;
    let custodian = '';
    const rounds = (...planned: PlannedFile[]) =>
      planned.map(({ plan }, i) => ({ plan, policy: 'balanced', cohort: 'all', round: 901 + i }));
    const rosterInForce = async () => {
      const container = await openContainer(join(own.role('owner'), 'roster.tgo'), 'roster');
      await container.close();
      return container.body;
    };
    const states = async (directory = custodian): Promise<Record<string, string>> => {
      const store = await KeyStore.open(directory);
      try {
        return Object.fromEntries(store.keys().map(({ name, state }) => [name, state]));
      } finally {
        store.close();
      }
    };

    before(async () => {
      own = await ServedTestFleet.create(4);
      custodian = own.role('custodian-1');
    });

    it('says that an epoch is over when the last of its rounds is closed, and its keys are destroyed', async () => {
      const common = fleet;
      fleet = own;
      try {
        const [first, second] = [await own.plan(901), await own.plan(902)];
        for (const { plan, bytes } of [first, second]) service.plans.set(plan, bytes);
        service.listed = rounds(first, second);
        const enrol: { file: Uint8Array }[] = [];
        for (const { id } of (await rosterInForce()).custodians) {
          const store = await KeyStore.open(own.role(id as `custodian-${number}`));
          await rotate(store);
          const ownerKeyId = await pinnedOwner(own.role(id as `custodian-${number}`));
          enrol.push({ file: await writeEnrolment(store, { ownerKeyId }) });
          store.close();
        }
        const owner = await openRole(own.role('owner'), 'owner');
        owner.close();
        const ownStore = await KeyStore.open(own.role('owner'));
        const ownerKem = (await rotate(ownStore)).key.publicKey;
        ownStore.close();
        const moved = await issueRoster({
          ownerDirectory: own.role('owner'),
          signing: owner.signing,
          changes: { enrol, ownerKem },
        });
        expect(moved.body.owner.kem).to.deep.equal(ownerKem);
        await joinFleet({ directory: custodian, file: moved.bytes });
        const close = (planned: PlannedFile): Promise<void> => {
          service.items = [{ kind: 'close-failed', plan: planned.plan, reason: 'below the quorum' }];
          return stepsAfterRestart();
        };
        await close(first);
        expect((await rosterInForce()).oldestOpenEpoch).to.equal(undefined);
        for (const directory of [custodian, own.role('owner')]) {
          expect(await states(directory)).to.include({ 'kem-1': 'deactivated', 'kem-2': 'active' });
        }
        // Another file than the plan's says nothing of its epoch.
        service.plans.set(second.plan, first.bytes);
        service.items = [];
        await stepsAfterRestart();
        expect((await rosterInForce()).oldestOpenEpoch).to.equal(undefined);
        expect(log.named('owner.plan-unreadable').map(({ fields }) => fields)).to.deep.equal([
          { plan: second.plan },
        ]);
        service.plans.set(second.plan, second.bytes);
        // A plan that the coordinator has not signed holds nothing up.
        const invented = await signAgain('plan', second.bytes, owner.signing, { body: { round: 903 } });
        const inventedPlan = hex((await openContainer(invented, 'plan')).fingerprint);
        service.plans.set(inventedPlan, invented);
        service.listed = [
          ...rounds(first, second),
          { plan: inventedPlan, policy: 'balanced', cohort: 'all', round: 903 },
        ];
        await close(second);
        expect(await states(own.role('owner'))).to.include({ 'kem-1': 'destroyed', 'kem-2': 'active' });
        expect(log.named('owner.key-destroyed').map(({ fields }) => fields)).to.deep.equal([
          { key: 'kem-1' },
        ]);
        expect(log.named('owner.epochs-ended')[0]?.fields).to.deep.equal({ oldestOpenEpoch: 2 });
        const { version, oldestOpenEpoch } = await rosterInForce();
        expect([version, oldestOpenEpoch]).to.deep.equal([moved.body.version + 1, 2]);
        service.items = [];
        await stepsAfterRestart(2);
        expect((await rosterInForce()).version).to.equal(version);
        await joinFleet({ directory: custodian, file: service.newestRoster as Uint8Array });
        expect(await states()).to.include({ 'kem-1': 'destroyed', 'kem-2': 'active' });
      } finally {
        fleet = common;
      }
    });
  });

  describe('planning', () => {
    it('plans the first round, for the envelope’s interval', async () => {
      await stepsAfterRestart();
      const { body } = await onlyPlan();
      expect(body).to.include({ policy: 'balanced', cohort: 'all', round: 1 });
      expect(body.lwe.maxClients).to.equal(4);
      expect(body.deadline).to.equal(now + HOUR_MS);
    });

    it('sends the same plan again, whatever became of the first', async () => {
      service.breakAt('putPlan');
      await expectRefusal('http.unreachable', () => stepsAfterRestart());
      await stepsAfterRestart();
      const { plan } = await onlyPlan();
      const names = await readdir(join(fleet.role('owner'), 'agent', 'plans'));
      expect(names).to.deep.equal(['balanced+all+1.tgp']);
      service.listed = [{ plan, policy: 'balanced', cohort: 'all', round: 1 }];
      service.items = [{ kind: 'plan', policy: 'balanced', cohort: 'all', round: 1, notBeforeMs: 0 }];
      service.plans.clear();
      await stepsAfterRestart();
      expect(service.plans.size).to.equal(0);
      // As where the service has forgotten the round: then it is given the same plan.
      service.listed = [];
      await stepsAfterRestart();
      expect((await onlyPlan()).plan).to.equal(plan);
    });

    it('makes another one where the first is past its deadline and never came to be a round', async () => {
      service.items = [{ kind: 'plan', policy: 'balanced', cohort: 'all', round: 7, notBeforeMs: 0 }];
      await stepsAfterRestart();
      const { plan } = await onlyPlan();
      service.plans.clear();
      now += HOUR_MS - 1;
      await stepsAfterRestart();
      expect((await onlyPlan()).plan).to.equal(plan);
      service.plans.clear();
      now += 1;
      await stepsAfterRestart();
      expect((await onlyPlan()).plan).to.not.equal(plan);
      expect((await onlyPlan()).body).to.include({ round: 7, deadline: now + HOUR_MS });
    });

    it('waits for the time that the service names, and plans for the cohort that it names', async () => {
      const clients = [1, 2, 3].map((number) => fleet.clientId(number));
      const half = { clients, lineage: { root: 'all', depth: 1 } };
      const next = { kind: 'plan', policy: 'balanced', cohort: 'all.1', round: 7, half } as const;
      service.items = [{ ...next, notBeforeMs: now + 1000 }];
      await stepsAfterRestart();
      expect(service.plans.size).to.equal(0);
      now += 1000;
      await stepsAfterRestart();
      const { plan, body } = await onlyPlan();
      expect(body).to.include({ cohort: 'all.1', round: 7 });
      expect(body.lwe.maxClients).to.equal(3);
      expect(service.cohorts.get('all.1')).to.deep.equal(half);
      service.listed = [{ plan, policy: 'balanced', cohort: 'all.1', round: 7 }];
      const before = service.count('putPlan');
      await stepsAfterRestart();
      expect(service.count('putPlan')).to.equal(before);
    });

    it('uses no round’s number twice, even where the service has lost its store', async () => {
      service.items = [{ kind: 'plan', policy: 'balanced', cohort: 'all', round: 7, notBeforeMs: 0 }];
      await stepsAfterRestart();
      service.items = [];
      service.plans.clear();
      await stepsAfterRestart();
      expect((await onlyPlan()).body.round).to.equal(8);
    });

    it('leaves rounds of other policies alone', async () => {
      service.items = [{ kind: 'plan', policy: 'other', cohort: 'all', round: 7, notBeforeMs: 0 }];
      service.listed = [{ plan: 'ab'.repeat(32), policy: 'balanced', cohort: 'all', round: 3 }];
      await stepsAfterRestart();
      expect(service.plans.size).to.equal(0);
    });
  });

  describe('opening', () => {
    async function roundWith(
      updates: readonly string[],
      planned: PlannedFile,
      custodians: readonly number[],
    ) {
      const aggregate = fleet.at('sum.tga');
      await sumUpdates(fleet, planned.path, updates, aggregate);
      service.plans.set(planned.plan, planned.bytes);
      service.aggregates.set(planned.plan, aggregate);
      for (const number of custodians) await answer(planned, aggregate, number);
      offer(planned, custodians);
    }

    function offer({ plan }: PlannedFile, custodians: readonly number[]): void {
      const answers = custodians.map((number) => `custodian-${number}`);
      service.items = [{ kind: 'open', plan, answers }];
      service.listed = [{ plan, policy: 'balanced', cohort: 'all', round }];
    }

    async function answer({ plan, path }: PlannedFile, aggregate: string, number: number): Promise<void> {
      const { custodian, role, close } = await openCustodian(fleet.role(`custodian-${number}`));
      const container = await openContainer(aggregate, 'aggregate');
      const given = await answerRound(custodian, await readTrustedPlan(path, role.roster), container);
      await container.close();
      close();
      service.answers.set(`${plan} custodian-${number}`, [given.answer]);
    }

    async function sealed(planned: PlannedFile, numbers = [1, 2, 3]): Promise<string[]> {
      const paths: string[] = [];
      for (const number of numbers) paths.push((await fleet.seal(number, planned.path, round + 1)).path);
      return paths;
    }

    /** Validly signed, and nothing that decrypts to anything. */
    async function garbage(path: string): Promise<string> {
      const role = await openRole(fleet.role('client-4'), 'client');
      role.close();
      const container = await openContainer(path, 'update');
      const { length } = await container.readSection('ciphertext');
      await container.close();
      const ciphertext = Uint8Array.from({ length }, (_, i) => (i * 89 + (i >> 3)) & 0xff);
      const out = fleet.at('garbage.tgu');
      await writeFile(out, await signAgain('update', path, role.signing, { sections: { ciphertext } }));
      return out;
    }

    async function closeOf({ plan }: PlannedFile) {
      const record = service.closes.get(plan);
      return record && (await openContainer(record, 'close')).body;
    }

    it('writes the average and closes the round, once, whatever is repeated', async () => {
      const planned = await fleet.plan(round);
      await roundWith(await sealed(planned), planned, [1, 2, 3]);
      service.breakAt('putClose');
      await expectRefusal('http.unreachable', () => stepsAfterRestart());
      await stepsAfterRestart();
      expect(existsSync(fleet.at('averages', `${round}`, 'adapter_model.safetensors'))).to.equal(true);
      expect((await closeOf(planned))?.opened).to.have.length(3);
      expect(service.openings.get(planned.plan)).to.include({ contributors: 3, answers: 3, verified: false });
      expect(service.openings.get(planned.plan)?.decryptMs).to.be.greaterThan(0);
      const record = service.closes.get(planned.plan) as Uint8Array;
      await stepsAfterRestart();
      expect(Buffer.from(service.closes.get(planned.plan) as Uint8Array).equals(record)).to.equal(true);
    });

    it('waits for the other custodians before it gives up a round, and then says why', async () => {
      const planned = await fleet.plan(round);
      const [first, second, third, fourth = ''] = await sealed(planned, [1, 2, 3, 4]);
      const updates = [first, second, third, await garbage(fourth)] as string[];
      await roundWith(updates, planned, [1, 2, 3]);
      await stepsAfterRestart(2);
      expect(await closeOf(planned)).to.equal(undefined);
      await answer(planned, service.aggregates.get(planned.plan) as string, 4);
      offer(planned, [1, 2, 3, 4]);
      await stepsAfterRestart();
      const closed = await closeOf(planned);
      expect(closed?.opened).to.deep.equal([]);
      expect(closed?.reason).to.match(/^open\.[a-z-]+: /);
      expect(log.named('owner.round-burnt')).to.have.length(1);
    });

    it('waits for no longer than its patience', async () => {
      const planned = await fleet.plan(round);
      const [first, second, third, fourth = ''] = await sealed(planned, [1, 2, 3, 4]);
      await roundWith([first, second, third, await garbage(fourth)] as string[], planned, [1, 2, 3]);
      await stepsAfterRestart(3, { answerPatienceMs: HOUR_MS }, () => {
        now += HOUR_MS;
      });
      expect((await closeOf(planned))?.opened).to.deep.equal([]);
    });

    it('does not close a round for a reason of its own machine’s', async () => {
      const planned = await fleet.plan(round);
      await roundWith(await sealed(planned), planned, [1, 2, 3]);
      await stepsAfterRestart(1, { base: fleet.at('is-not-there') });
      expect(await closeOf(planned)).to.equal(undefined);
      expect(log.named('owner.not-opened')[0]?.fields).to.include({ code: 'adapter.file-missing' });
    });

    it('closes a round that failed, with the service’s reason', async () => {
      const planned = await fleet.plan(round);
      service.plans.set(planned.plan, planned.bytes);
      service.listed = [{ plan: planned.plan, policy: 'balanced', cohort: 'all', round }];
      service.items = [{ kind: 'close-failed', plan: planned.plan, reason: 'below\nthe quorum' }];
      await stepsAfterRestart();
      expect(await closeOf(planned)).to.deep.include({ opened: [], reason: 'below the quorum' });
    });

    it('releases an average when it is told to, once', async () => {
      const planned = await fleet.plan(round);
      await roundWith(await sealed(planned), planned, [1, 2, 3]);
      await stepsAfterRestart();
      service.items = [{ kind: 'release', plan: planned.plan }];
      await stepsAfterRestart(2);
      expect(service.releases).to.deep.equal([]);
      expect(log.named('owner.release-awaited')).to.have.length(1);
      service.breakAt('putRelease');
      await expectRefusal('http.unreachable', () => stepsAfterRestart(1, { release: 'auto' }));
      await stepsAfterRestart(1, { release: 'auto' });
      expect(new Set(service.releases)).to.deep.equal(new Set([1]));
    });
  });
});
