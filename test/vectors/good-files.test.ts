import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { readAnswer } from '../../lib/custody/answers.js';
import { answerRound, type CustodianIdentity } from '../../lib/custody/custodian.js';
import { createLedger } from '../../lib/custody/ledger.js';
import { checkUpdate } from '../../lib/custody/trusted-update.js';
import type { PublicKeys } from '../../lib/package/keys.js';
import type { MessageKind } from '../../lib/package/messages/registry.js';
import { type Container, openAnyContainer, openContainer } from '../../lib/package/reader.js';
import { aggregateUpdates } from '../../lib/round/aggregate.js';
import { openRound } from '../../lib/round/open-round.js';
import { planRound } from '../../lib/round/plan-round.js';
import { RoundRecords } from '../../lib/round/round-records.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { expectedAverage } from '../round/support/adapters.js';
import { expectAverage } from '../round/support/directories.js';
import { signAgain } from '../round/support/forgery.js';
import { EPOCH, type Member, type Members, rosterBody, signRoster } from '../round/support/members.js';
import { signPlan } from '../round/support/round.js';
import {
  ANSWERS,
  type ExpectedFacts,
  HYBRID,
  openVectors,
  readExpected,
  UPDATES,
  VECTORS,
  type VectorRound,
  vector,
  vectorMembers,
  vectorPath,
} from './files.js';

type Signer = (members: Members) => Member;

const client =
  (number: number): Signer =>
  ({ clients }) =>
    clients[number - 1] as Member;
const custodian =
  (index: number): Signer =>
  ({ custodians }) =>
    custodians[index - 1] as Member;

const FILES: readonly [name: string, kind: MessageKind, signer: Signer][] = [
  ['roster.tgo', 'roster', ({ owner }) => owner],
  ['plan.tgp', 'plan', ({ coordinator }) => coordinator],
  ['update-1.tgu', 'update', client(1)],
  ['update-2.tgu', 'update', client(2)],
  ['update-3.tgu', 'update', client(3)],
  ['update-4.tgu', 'update', client(4)],
  ['aggregate.tga', 'aggregate', ({ aggregator }) => aggregator],
  ['answer-1.tgs', 'answer', custodian(1)],
  ['answer-2.tgs', 'answer', custodian(2)],
  ['answer-3.tgs', 'answer', custodian(3)],
  ['close.tgc', 'close', ({ owner }) => owner],
  ['close-none.tgc', 'close', ({ owner }) => owner],
  ['hybrid-roster.tgo', 'roster', ({ owner }) => owner],
  ['hybrid-plan.tgp', 'plan', ({ coordinator }) => coordinator],
  ['hybrid-update.tgu', 'update', client(1)],
];

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Every section of a container, by name. */
async function sectionsOf(container: Container<MessageKind>): Promise<Record<string, string>> {
  const sections: Record<string, string> = {};
  for (const { name } of container.header.sections) sections[name] = hex(await container.readSection(name));
  return sections;
}

describe('the committed files of format version 1', () => {
  let expected: ExpectedFacts;
  let round: VectorRound;
  let hybrid: Members;

  before(async () => {
    expected = await readExpected();
    round = await openVectors(await temporaryDirectory());
    hybrid = await vectorMembers(HYBRID);
  });

  const membersOf = (name: string): Members => (name.startsWith('hybrid-') ? hybrid : round.members);

  it('are one of each kind and more, all of them in the table, in less than a megabyte', async () => {
    const names = (await readdir(VECTORS)).filter((name) => /\.tg.$/.test(name));
    expect(names.sort()).to.deep.equal(FILES.map(([name]) => name).sort());
    expect(Object.keys(expected.fingerprints).sort()).to.deep.equal(names.sort());
    const kinds = new Set(FILES.map(([, kind]) => kind));
    expect([...kinds].sort()).to.deep.equal(['aggregate', 'answer', 'close', 'plan', 'roster', 'update']);
    let total = 0;
    for (const name of await readdir(VECTORS, { recursive: true })) {
      total += (await stat(join(VECTORS, name))).size;
    }
    expect(total).to.be.lessThan(1e6);
  });

  for (const [name, kind, signer] of FILES) {
    it(`are read, verified and named as they were: ${name}`, async () => {
      const container = await openAnyContainer(vectorPath(name));
      expect(container.kind).to.equal(kind);
      expect(hex(container.fingerprint)).to.equal(expected.fingerprints[name]);
      const { publicKeys, algorithms } = signer(membersOf(name)).signing;
      const keys: PublicKeys = publicKeys;
      await container.verify(keys, algorithms);
      await container.verifySections();
      await container.close();
    });

    it(`are written again byte for byte from what was read: ${name}`, async () => {
      const file = await vector(name);
      expect(hex(await signAgain(kind, file, signer(membersOf(name)).signing))).to.equal(hex(file));
    });
  }

  it('hold the roster and the plan that the same keys and adapters give today', async () => {
    const { members, roster, plan } = round;
    const rosterAgain = await signRoster(members, rosterBody(members), Date.UTC(2026, 0, 1));
    expect(hex(rosterAgain)).to.equal(hex(await vector('roster.tgo')));
    const { bits, maxClients } = plan.body.lwe;
    const planned = await planRound({
      roster,
      like: vectorPath('adapter-1'),
      bits,
      maxClients,
      quorum: plan.body.quorum,
      round: plan.body.round,
      policy: plan.body.policy,
      cohort: plan.body.cohort,
      parameterSet: plan.body.parameterSet,
      ledgerHeads: plan.body.ledgerHeads,
      deadline: plan.body.deadline as number,
    });
    const body = { ...planned.body, seed: plan.body.seed };
    const planAgain = await signPlan(members, body, Date.UTC(2026, 0, 1, 0, 0, 1));
    expect(hex(planAgain)).to.equal(hex(await vector('plan.tgp')));
  });

  it('hold updates of the plan, one of which says all that an update may say', async () => {
    for (const name of UPDATES) {
      const update = await openContainer(vectorPath(name), 'update');
      await checkUpdate(update, round.plan);
      await update.close();
      if (name !== 'update-2.tgu') continue;
      const optional = ['targets', 'training', 'safety', 'compression', 'privacy', 'experts'] as const;
      for (const field of [...optional, 'compatibility', 'timingsMs', 'baseModel'] as const) {
        expect(update.body[field], field).not.to.equal(undefined);
      }
    }
    const both = await openVectors(await temporaryDirectory(), 'hybrid-');
    const update = await openContainer(vectorPath('hybrid-update.tgu'), 'update');
    await checkUpdate(update, both.plan);
    expect(update.signatures.map(({ alg }) => alg)).to.deep.equal(['ed25519', 'ml-dsa-65']);
    await update.close();
  });

  it('sum today to the same aggregate', async () => {
    const { aggregator } = round.members;
    const out = join(await temporaryDirectory(), 'A.tga');
    await aggregateUpdates({
      plan: round.plan,
      aggregatorId: aggregator.id,
      signing: aggregator.signing,
      updates: UPDATES.slice(0, 3).map(vectorPath),
      out,
    });
    const [committed, again] = [
      await openContainer(vectorPath('aggregate.tga'), 'aggregate'),
      await openContainer(out, 'aggregate'),
    ];
    expect(await sectionsOf(again)).to.deep.equal(await sectionsOf(committed));
    const { refused, ...body } = committed.body;
    const { refused: refusedToday, ...bodyToday } = again.body;
    expect(bodyToday).to.deep.equal(body);
    expect(refused.map(({ code }) => code)).to.deep.equal(['update.duplicate-client']);
    expect(refusedToday).to.deep.equal([]);
    await committed.close();
    await again.close();
  });

  it('are answered today by the same sums of shares, under the same ledger heads', async () => {
    const set = new Uint8Array(Buffer.from(expected.set, 'hex'));
    for (const [i, name] of ANSWERS.entries()) {
      const { id, signing, kem } = round.members.custodians[i] as (typeof round.members.custodians)[0];
      const ledger = await createLedger(join(await temporaryDirectory(), 'ledger.sqlite'));
      const identity: CustodianIdentity = { id, signing, kem: [{ epoch: EPOCH, seed: kem }], ledger };
      const aggregate = await openContainer(vectorPath('aggregate.tga'), 'aggregate');
      const { answer } = await answerRound(identity, round.plan, aggregate);
      await aggregate.close();
      ledger.close();
      const { kem: ownerKem } = round.members.owner;
      const committed = await readAnswer(vectorPath(name), round.plan, set, ownerKem);
      expect(await readAnswer(answer, round.plan, set, ownerKem)).to.deep.equal(committed);
    }
  });

  for (const chosen of [
    [1, 2],
    [3, 1],
    [2, 3],
    [1, 2, 3],
  ]) {
    it(`open to the recorded average, with the answers of custodians ${chosen.join(', ')}`, async () => {
      const out = join(await temporaryDirectory(), 'average');
      const records = new RoundRecords(await temporaryDirectory());
      const { signing, kem } = round.members.owner;
      const report = await openRound({
        owner: { signing, kem, records },
        plan: round.plan,
        aggregate: vectorPath('aggregate.tga'),
        answers: chosen.map((index) => vectorPath(`answer-${index}.tgs`)),
        verify: UPDATES.slice(0, 3).map(vectorPath),
        out,
      });
      expect(report).to.include({ contributors: 3, verified: true });
      for (const name of ['adapter_config.json', 'adapter_model.safetensors']) {
        const committed = await readFile(vectorPath(join('average', name)));
        expect(hex(await readFile(join(out, name))), name).to.equal(hex(committed));
      }
    });
  }

  it('record the average that the committed adapters have by the textbook', async () => {
    const adapters = [1, 2, 3].map((number) => vectorPath(`adapter-${number}`));
    const textbook = await expectedAverage(round.plan.body, adapters);
    expect(textbook.saturated).to.deep.equal(expected.saturatedValues);
    const wide = round.plan.body.tensors.filter(({ dtype }) => dtype === 'F32').map(({ name }) => name);
    // F16 and BF16 tensors are rounded once more when they are written; the test of the sums holds for them.
    const whole = new Map([...textbook.tensors].filter(([name]) => wide.includes(name)));
    expect(whole.size).to.equal(2);
    await expectAverage(vectorPath('average'), { tensors: whole, saturated: [] }, wide);
    const sums = new Int32Array(round.plan.arithmetic.valueCount);
    let at = 0;
    for (const { name, clip, shape } of round.plan.body.tensors) {
      const scale = clip / 7;
      const values = textbook.tensors.get(name) as Float32Array;
      expect(values).to.have.length(shape.reduce((a, b) => a * b, 1));
      for (const value of values) {
        sums[at] = Math.round((value * 3) / scale);
        at += 1;
      }
    }
    const digest = createHash('sha256').update(new Uint8Array(sums.buffer)).digest('hex');
    expect(digest).to.equal(expected.sumsSha256);
  });

  it('were closed as opened, and as not opened', async () => {
    const aggregate = await openContainer(vectorPath('aggregate.tga'), 'aggregate');
    const updates = aggregate.body.accepted.map(({ update }) => update);
    await aggregate.close();
    const close = await openContainer(vectorPath('close.tgc'), 'close');
    expect(close.body.opened).to.deep.equal(updates);
    expect(hex(close.body.set as Uint8Array)).to.equal(expected.set);
    expect(close.body.reason).to.equal(undefined);
    const none = await openContainer(vectorPath('close-none.tgc'), 'close');
    expect(none.body.opened).to.deep.equal([]);
    expect(none.body.reason).to.include('two cohorts');
    await close.close();
    await none.close();
  });
});
