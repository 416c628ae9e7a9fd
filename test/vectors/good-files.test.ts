import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { readAnswer } from '../../lib/custody/answers.js';
import { answerRound } from '../../lib/custody/custodian.js';
import { createLedger } from '../../lib/custody/ledger.js';
import { checkUpdate } from '../../lib/custody/trusted-update.js';
import { sampleKey, signKey } from '../../lib/lwe/streams.js';
import type { PublicKeys } from '../../lib/package/keys.js';
import { planSchema } from '../../lib/package/messages/plan.js';
import type { MessageKind } from '../../lib/package/messages/registry.js';
import { updateSchema } from '../../lib/package/messages/update.js';
import { type Container, openAnyContainer, openContainer } from '../../lib/package/reader.js';
import { aggregateUpdates } from '../../lib/round/aggregate.js';
import { openRound } from '../../lib/round/open-round.js';
import { planRound } from '../../lib/round/plan-round.js';
import { RoundRecords } from '../../lib/round/round-records.js';
import { custodianOf, kemKeyOf } from '../custody/support/identities.js';
import { oraclePositions, oracleRotateBack } from '../native/support/pipeline-oracle.js';
import { adapterValues } from '../round/support/adapters.js';
import { expectAverage, expectedAverage } from '../round/support/expected-average.js';
import { signAgain } from '../round/support/forgery.js';
import type { ReceivingMember } from '../round/support/members.js';
import { type Member, type Members, rosterBody, signRoster } from '../round/support/members.js';
import { signPlan } from '../round/support/round.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import {
  ANSWERS,
  type ExpectedFacts,
  HYBRID,
  openVectors,
  readExpected,
  SUMS,
  UPDATES,
  VECTOR_POLICY,
  VECTORS,
  type VectorRound,
  vector,
  vectorMembers,
  vectorPath,
  WEIGHTS,
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

/** Optional fields of plans and updates that came after these files, which readers must go on taking without. */
const LATER_FIELDS = ['staleness'];

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

  it('hold the roster and the plan that the same keys, policy and adapters give today', async () => {
    const { members, roster, plan } = round;
    const rosterAgain = await signRoster(members, rosterBody(members), Date.UTC(2026, 0, 1));
    expect(hex(rosterAgain)).to.equal(hex(await vector('roster.tgo')));
    const planned = await planRound({
      roster,
      like: vectorPath('adapter-1'),
      policy: VECTOR_POLICY,
      maxClients: plan.body.lwe.maxClients,
      round: plan.body.round,
      policyName: plan.body.policy,
      cohort: plan.body.cohort,
      parameterSet: plan.body.parameterSet,
      ledgerHeads: plan.body.ledgerHeads,
      deadline: plan.body.deadline as number,
    });
    // A coordinator's numbers may differ in their last bits from one machine to another; they travel in the plan.
    expect(planned.body.clip).to.be.closeTo(plan.body.clip, 1e-9 * plan.body.clip);
    const tensors = planned.body.tensors.map((tensor, i) => {
      const { scale } = plan.body.tensors[i] as typeof tensor;
      expect(tensor.scale, tensor.name).to.be.closeTo(scale, 1e-9 * scale);
      return { ...tensor, scale };
    });
    // A policy's own prints change with every setting that it gains; the plan's other fields hold what came of it.
    const { profiles } = plan.body;
    expect(planned.body.profiles).to.have.all.keys(Object.keys(profiles ?? {}));
    const body = { ...planned.body, tensors, clip: plan.body.clip, seed: plan.body.seed, profiles };
    const planAgain = await signPlan(members, body, Date.UTC(2026, 0, 1, 0, 0, 1));
    expect(hex(planAgain)).to.equal(hex(await vector('plan.tgp')));
  });

  it('hold plans that between them say all that a plan may say', async () => {
    const both = await openVectors(await temporaryDirectory(), 'hybrid-');
    const said = new Set([...Object.keys(round.plan.body), ...Object.keys(both.plan.body)]);
    expect([...said, ...LATER_FIELDS].sort()).to.deep.equal(Object.keys(planSchema.shape).sort());
    expect(round.plan.body.lwe.segments.length).to.be.greaterThan(1);
    expect(round.plan.body.experts).to.have.length(2);
    expect(both.plan.body).to.deep.include({ loraMode: 'frozen-a', samplesForFullWeight: 10_000 });
    expect(both.plan.body.privacy?.mechanism).to.equal('skellam');
  });

  it('hold updates of the plan, one of which says all that an update may say', async () => {
    for (const name of UPDATES) {
      const update = await openContainer(vectorPath(name), 'update');
      await checkUpdate(update, round.plan);
      await update.close();
      if (name !== 'update-2.tgu') continue;
      const said = Object.keys(update.body);
      expect([...said, ...LATER_FIELDS].sort()).to.deep.equal(Object.keys(updateSchema.shape).sort());
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
      policy: VECTOR_POLICY,
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
      const custodian = round.members.custodians[i] as ReceivingMember;
      const ledger = await createLedger(join(await temporaryDirectory(), 'ledger.sqlite'));
      const identity = custodianOf(custodian, ledger);
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
      const { owner } = round.members;
      const report = await openRound({
        owner: { signing: owner.signing, kemKey: kemKeyOf(owner), records, policy: VECTOR_POLICY },
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

  it('record sums that the committed adapters have by the textbook, to the rounding', async () => {
    const { body } = round.plan;
    const clients = {
      adapters: [1, 2, 3].map((number) => vectorPath(`adapter-${number}`)),
      weights: WEIGHTS.slice(0, 3).map((all) => (all ?? [65_536, 65_536]).map((weight) => weight / 65_536)),
    };
    const textbook = await expectedAverage(round.plan, clients);
    for (const [i, { least, most }] of textbook.saturated.entries()) {
      expect(expected.saturatedValues[i]).to.be.within(least, most);
    }
    const file = Buffer.from(await vector(SUMS));
    expect(file).to.have.length(4 * round.plan.arithmetic.valueCount);
    let at = 0;
    const byBits = [...body.tensors].sort((a, b) => a.bits - b.bits);
    expect(new Set(byBits.map(({ bits }) => bits)).size).to.equal(body.lwe.segments.length);
    for (const { name } of byBits) {
      for (const sum of textbook.sums.get(name) as Float64Array) {
        expect(Math.abs(file.readInt32LE(at) - sum), name).to.be.below(clients.adapters.length);
        at += 4;
      }
    }
    expect(at).to.equal(file.length);
    // F16 and BF16 tensors are rounded once more when they are written; these show it for all.
    const wide = body.tensors.filter(({ dtype }) => dtype === 'F32').map(({ name }) => name);
    expect(wide).to.have.length(2);
    await expectAverage(vectorPath('average'), textbook, wide);
  });

  it('record the average that the sums come to by the textbook, to the bit', async () => {
    const { body, fingerprint } = round.plan;
    const file = Buffer.from(await vector(SUMS));
    const average = await adapterValues(vectorPath('average'));
    const weights = [0, 1].map((expert) =>
      WEIGHTS.slice(0, 3).reduce((sum, all) => sum + (all?.[expert] ?? 65_536) / 65_536, 0),
    );
    const signs = signKey(body.seed, body.parameterSet, fingerprint);
    const sample = sampleKey(body.seed, body.parameterSet, fingerprint);
    const places = body.tensors.map((tensor, index) => ({ ...tensor, index }));
    let at = 0;
    for (const { name, index, kept, shape, scale, dtype, expert } of places.sort((a, b) => a.bits - b.bits)) {
      const spread = new Float32Array(shape.reduce((a, b) => a * b, 1));
      const unit = Math.fround(scale / (weights[expert as number] as number));
      for (const position of oraclePositions(sample, index, spread.length, kept)) {
        spread[position] = file.readInt32LE(at) * unit;
        at += 4;
      }
      const values = oracleRotateBack(spread, signs, index, body.rotationBlockLog2);
      const found = average.get(name) as Float32Array;
      if (dtype === 'F32') expect([...found], name).to.deep.equal([...values]);
      else
        for (const [i, value] of values.entries()) {
          // Eight significant bits at least; below the smallest normal number of F16, its grid.
          expect(found[i], name).to.be.closeTo(value, Math.max(Math.abs(value) / 256, 2 ** -24));
        }
    }
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
