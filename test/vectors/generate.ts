/**
 * Writes the vectors again: `node dist/test/vectors/generate.js [directory]`.
 *
 * Only for a new format version, beside the old files: what is committed fixes what every release must go on reading.
 * Encryption and sealing are randomized, so that updates and answers come out different each time; everything else
 * comes out the same to the byte.
 */

import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadPeftAdapter, writePeftAdapter } from '../../lib/adapter/peft.js';
import { fillNormal } from '../../lib/adapter/seeded-normal.js';
import type { TensorDtype } from '../../lib/adapter/tensor-info.js';
import { answerRound } from '../../lib/custody/custodian.js';
import { createLedger } from '../../lib/custody/ledger.js';
import { GENESIS } from '../../lib/custody/ledger-rows.js';
import { sealMessage } from '../../lib/custody/seal.js';
import { readTrustedPlan, type TrustedPlan } from '../../lib/custody/trusted-plan.js';
import { setDigest } from '../../lib/package/fingerprint.js';
import { type UpdateBody, WEIGHT_ONE } from '../../lib/package/messages/update.js';
import { openAnyContainer, openContainer } from '../../lib/package/reader.js';
import { containerBytes, encodeContainer } from '../../lib/package/writer.js';
import { type EncodedDelta, encodeDelta } from '../../lib/pipeline/delta-encoder.js';
import type { Policy } from '../../lib/policy/policy.js';
import { aggregateUpdates } from '../../lib/round/aggregate.js';
import { closeRound } from '../../lib/round/close-round.js';
import { openRound } from '../../lib/round/open-round.js';
import { planRound } from '../../lib/round/plan-round.js';
import { addPlannedNoise } from '../../lib/round/round-privacy.js';
import { RoundRecords } from '../../lib/round/round-records.js';
import { custodianOf, kemKeyOf } from '../custody/support/identities.js';
import { signAgain } from '../round/support/forgery.js';
import {
  type ClientMember,
  derivedSeed,
  type Members,
  type RosterRules,
  rosterBody,
  signRoster,
  trustRosters,
} from '../round/support/members.js';
import { signPlan } from '../round/support/round.js';
import {
  ANSWERS,
  CLIENTS,
  CUSTODIANS,
  HYBRID,
  HYBRID_POLICY,
  SUMS,
  UPDATES,
  VECTOR_POLICY,
  VECTORS,
  vectorMembers,
  WEIGHTS,
} from './files.js';

const CREATED = Date.UTC(2026, 0, 1);
const DEADLINE = Date.UTC(2100, 0, 1);
const REASON = 'the residuals exceeded the plan’s limit; the next round runs in two cohorts';

const SHAPES: readonly { name: string; shape: readonly number[]; dtype: TensorDtype }[] = [
  { name: 'base_model.model.layers.0.q_proj.lora_A.weight', shape: [4, 480], dtype: 'F32' },
  { name: 'base_model.model.layers.0.q_proj.lora_B.weight', shape: [480, 4], dtype: 'F16' },
  { name: 'base_model.model.layers.0.v_proj.lora_A.weight', shape: [4, 480], dtype: 'F32' },
  { name: 'base_model.model.layers.0.v_proj.lora_B.weight', shape: [200, 4], dtype: 'BF16' },
];

const CONFIG = {
  base_model_name_or_path: 'acme/policy',
  lora_alpha: 8,
  peft_type: 'LORA',
  r: 4,
  target_modules: ['q_proj', 'v_proj'],
};

const out = process.argv[2] ?? VECTORS;
const scratch = await mkdtemp(join(tmpdir(), 'tensorguard-vectors-'));
const at = (name: string): string => join(out, name);
const seconds = (count: number): number => CREATED + 1000 * count;

async function writeKeys(): Promise<void> {
  const names = ['owner', 'coordinator', 'aggregator'];
  for (let i = 1; i <= CLIENTS; i += 1) names.push(`client-${i}`);
  for (let i = 1; i <= CUSTODIANS; i += 1) names.push(`custodian-${i}`);
  const seeds: Record<string, string> = {};
  for (const id of names) {
    const kinds = ['ed25519', 'ml-dsa-65'];
    if (id === 'owner' || id.startsWith('custodian')) kinds.push('kem');
    if (id.startsWith('client')) kinds.push('prf');
    for (const kind of kinds) {
      seeds[`${id} ${kind}`] = Buffer.from(derivedSeed(`vector ${id} ${kind}`)).toString('hex');
    }
  }
  const warning =
    'TEST KEYS. Everybody knows them; they protect nothing. Never enrol one of them in a fleet.';
  await writeFile(at('test-keys.json'), `${JSON.stringify({ warning, seeds }, null, 2)}\n`);
}

async function writeAdapterFor(number: number): Promise<void> {
  await writePeftAdapter(at(`adapter-${number}`), {
    configBytes: Buffer.from(JSON.stringify(CONFIG, null, 2)),
    tensors: SHAPES.map(({ name, shape, dtype }) => ({
      name,
      shape,
      dtype,
      data: (values) => {
        // One module is far louder than the other, which is worth a bit or two.
        fillNormal(values, name.includes('q_proj') ? 0.02 : 0.004, `vector ${number}`, name);
        // The third saturates here and there: a few large values in blocks that are small.
        if (number === 3) values.fill(0.05, 0, 3);
      },
    })),
  });
}

async function makePlan(
  members: Members,
  prefix: string,
  policy: Policy,
  rules: RosterRules,
): Promise<TrustedPlan> {
  const rosterFile = await signRoster(members, rosterBody(members, rules), seconds(0));
  await writeFile(at(`${prefix}roster.tgo`), rosterFile);
  const roster = await trustRosters(join(scratch, `${prefix}pin`), rosterFile);
  const planned = await planRound({
    roster,
    like: at('adapter-1'),
    policy,
    maxClients: 8,
    round: 7,
    policyName: 'pick-and-place',
    cohort: 'a',
    parameterSet: 'lwe-128',
    deadline: DEADLINE,
    ledgerHeads: [{ custodian: 'custodian-1', head: GENESIS }],
  });
  const body = { ...planned.body, seed: derivedSeed('vector public mask') };
  const planFile = await signPlan(members, body, seconds(1));
  await writeFile(at(`${prefix}plan.tgp`), planFile);
  return readTrustedPlan(planFile, roster);
}

/** Everything that an update may say of itself. */
const METADATA: Partial<UpdateBody> = {
  targets: { modules: ['layers.0.q_proj', 'layers.0.v_proj'], adapterIds: ['default'] },
  training: {
    steps: 1200,
    learningRate: 0.0001,
    objective: 'il',
    rewardVersion: 'v3',
    samples: 48_000,
    datasetHash: derivedSeed('vector data set'),
    demonstrations: 200,
    durationMs: 3_600_000.5,
  },
  safety: {
    saturatedValues: 0,
    constraintViolations: 3,
    oodScore: -0.25,
    klDivergence: 0.015625,
    gradientNormMean: 0.5,
    gradientNormMax: 8,
  },
  compression: { originalBytes: 20_800, sealedBytes: 20_000, bits: 6, keepRatio: 0.75 },
  privacy: { clip: 1, noiseMultiplier: 0, epsilonSpent: 0 },
  experts: { action: 0.75, language: 1 },
  compatibility: {
    robotModel: 'ARM-6 “blue”',
    policyFamily: 'smolvla',
    normalizationHash: derivedSeed('vector normalization'),
  },
  timingsMs: { train: 3_600_000, compress: 1.5, encrypt: 0.1 },
};

/** What an update of the round holds, before noise. */
async function encodeAdapter(
  plan: TrustedPlan,
  prfKey: Uint8Array,
  number: number,
  weights: readonly number[],
): Promise<EncodedDelta> {
  const { tensors } = await loadPeftAdapter(at(`adapter-${number}`));
  try {
    return await encodeDelta({
      plan: plan.body,
      planFingerprint: plan.fingerprint,
      prfKey,
      weights,
      readDelta: ({ tensor }, values) => tensors.readTensor(tensor.name, values),
    });
  } finally {
    await tensors.close();
  }
}

/** Of the round's first three updates, added up. */
let sums = new Int32Array(0);
const saturatedValues: number[] = [];

async function makeUpdate(plan: TrustedPlan, client: ClientMember, number: number): Promise<Uint8Array> {
  const prf = client.prf.use((bytes) => Uint8Array.from(bytes));
  const weights = plan.body.experts === undefined ? undefined : WEIGHTS[number - 1];
  const groups = plan.body.experts?.length ?? 1;
  const encoded = await encodeAdapter(
    plan,
    prf,
    number,
    weights ?? new Array<number>(groups).fill(WEIGHT_ONE),
  );
  const { values } = encoded;
  if (plan.body.privacy === undefined && number <= 3) {
    if (number === 1) sums = new Int32Array(values.length);
    sums = sums.map((sum, i) => sum + (values[i] as number));
    saturatedValues.push(encoded.saturatedValues);
  }
  await addPlannedNoise(plan.body, plan.fingerprint, prf, values);
  const sealed = await sealMessage(plan, client.id, client.signing.keyId, prf, values);
  const { fleet, policy, cohort, round, parameterSet, keyEpoch, adapterSchema, baseModel } = plan.body;
  const container = await encodeContainer({
    kind: 'update',
    body: {
      schema: '1.0.0',
      fleet,
      policy,
      cohort,
      round,
      plan: plan.fingerprint,
      client: client.id,
      parameterSet,
      keyEpoch,
      adapterSchema,
      ...(weights !== undefined && { weights: [...weights] }),
      ...(plan.body.samplesForFullWeight !== undefined && {
        training: { samples: 20_000 },
        weights: [WEIGHT_ONE],
      }),
      ...(number === 2 && { ...METADATA, ...(baseModel !== undefined && { baseModel }) }),
    },
    sections: [
      { name: 'ciphertext', data: sealed.ciphertext },
      { name: 'shares', data: sealed.shares },
    ],
    signer: client.signing,
    created: seconds(10 + number),
  });
  return containerBytes(container);
}

async function makeRound(members: Members, plan: TrustedPlan): Promise<void> {
  const { aggregator, owner, clients, custodians } = members;
  for (const [i, client] of clients.entries()) {
    await writeFile(at(UPDATES[i] as string), await makeUpdate(plan, client, i + 1));
  }
  const summed = join(scratch, 'A.tga');
  const duplicate = join(scratch, 'duplicate.tgu');
  await cp(at(UPDATES[0]), duplicate);
  await aggregateUpdates({
    plan,
    policy: VECTOR_POLICY,
    aggregatorId: aggregator.id,
    signing: aggregator.signing,
    updates: [...UPDATES.slice(0, 3).map(at), duplicate],
    out: summed,
  });
  const aggregate = await signAgain('aggregate', summed, aggregator.signing, { created: seconds(20) });
  await writeFile(at('aggregate.tga'), aggregate);

  for (const [i, custodian] of custodians.entries()) {
    const { id, signing } = custodian;
    const ledger = await createLedger(join(scratch, id, 'ledger.sqlite'));
    const { answer } = await answerRound(
      custodianOf(custodian, ledger),
      plan,
      await openContainer(aggregate, 'aggregate'),
    );
    ledger.close();
    const name = ANSWERS[i] as string;
    await writeFile(at(name), await signAgain('answer', answer, signing, { created: seconds(30 + i) }));
  }

  const identity = {
    signing: owner.signing,
    kemKey: kemKeyOf(owner),
    records: new RoundRecords(join(scratch, 'owner')),
    policy: VECTOR_POLICY,
  };
  await openRound({
    owner: identity,
    plan,
    aggregate: at('aggregate.tga'),
    answers: ANSWERS.map(at),
    verify: UPDATES.slice(0, 3).map(at),
    out: at('average'),
  });
  const { record } = await closeRound(identity, plan, at('aggregate.tga'), undefined);
  await writeFile(at('close.tgc'), await signAgain('close', record, owner.signing, { created: seconds(40) }));
  const unopened = { ...identity, records: new RoundRecords(join(scratch, 'unopened')) };
  const none = await closeRound(unopened, plan, at('aggregate.tga'), REASON);
  await writeFile(
    at('close-none.tgc'),
    await signAgain('close', none.record, owner.signing, { created: seconds(41) }),
  );
}

async function writeExpected(): Promise<void> {
  const fingerprints: Record<string, string> = {};
  const names = ['roster.tgo', 'plan.tgp', ...UPDATES, 'aggregate.tga', ...ANSWERS, 'close.tgc'];
  for (const name of [
    ...names,
    'close-none.tgc',
    'hybrid-roster.tgo',
    'hybrid-plan.tgp',
    'hybrid-update.tgu',
  ]) {
    const container = await openAnyContainer(at(name));
    fingerprints[name] = Buffer.from(container.fingerprint).toString('hex');
    await container.close();
  }
  const bytes = Buffer.alloc(4 * sums.length);
  sums.forEach((sum, i) => {
    bytes.writeInt32LE(sum, 4 * i);
  });
  await writeFile(at(SUMS), bytes);
  const aggregate = await openContainer(at('aggregate.tga'), 'aggregate');
  const set = setDigest(aggregate.body.accepted.map(({ update }) => update));
  await aggregate.close();
  const expected = {
    fingerprints,
    set: Buffer.from(set).toString('hex'),
    saturatedValues,
  };
  await writeFile(at('expected.json'), `${JSON.stringify(expected, null, 2)}\n`);
}

try {
  await mkdir(out, { recursive: true });
  await writeKeys();
  for (let number = 1; number <= CLIENTS; number += 1) await writeAdapterFor(number);
  const plan = await makePlan(await vectorMembers(), '', VECTOR_POLICY, {});
  await makeRound(await vectorMembers(), plan);
  const hybrid = await vectorMembers(HYBRID);
  const hybridPlan = await makePlan(hybrid, 'hybrid-', HYBRID_POLICY, {
    signatureAlgorithms: [...HYBRID],
    noiseFloor: 1,
  });
  const [client] = hybrid.clients;
  await writeFile(at('hybrid-update.tgu'), await makeUpdate(hybridPlan, client as ClientMember, 1));
  await writeExpected();
} finally {
  await rm(scratch, { recursive: true, force: true });
}
