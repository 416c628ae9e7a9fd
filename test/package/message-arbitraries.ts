/** Random well-formed bodies of every kind, with the sections that go with them. */
import fc from 'fast-check';
import { compareBytes, setDigest } from '../../lib/package/fingerprint.js';
import type { BodyOf, MessageKind } from '../../lib/package/messages/registry.js';
import {
  adapterFingerprint,
  encryptedBytes,
  plaintextBytes,
  RELEASE_WRAP_BYTES,
} from '../../lib/package/messages/release.js';
import { KEM_PUBLIC_KEY_BYTES } from '../../lib/package/messages/roster.js';
import {
  boundOutcome,
  isBounded,
  isWaivable,
  overallOutcome,
  VERDICT_METRICS,
  type VerdictMetric,
  type VerdictMetricName,
} from '../../lib/package/messages/verdict.js';
import type { SectionInput } from '../../lib/package/writer.js';
import { filled } from './fixtures.js';

export interface RandomMessage<K extends MessageKind> {
  readonly body: BodyOf<K>;
  readonly sections: readonly SectionInput[];
}

const id = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);
const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const text = fc.string({ minLength: 1, maxLength: 40 });
const count = fc.oneof(fc.nat(), fc.integer({ min: 0, max: 2 ** 40 }));
const index = fc.integer({ min: 1, max: 255 });
const word = fc.integer({ min: 1, max: 2 ** 32 - 1 });
const nonNegative = fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
const positive = fc.double({ min: 0, minExcluded: true, noNaN: true, noDefaultInfinity: true });
const finite = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0);
const parameterSet = fc.constantFrom('lwe-192' as const, 'lwe-128' as const);
const section = fc.uint8Array({ maxLength: 200 });

/** Any of the fields, each there or absent. */
function optional<T>(fields: { [F in keyof T]: fc.Arbitrary<T[F]> }): fc.Arbitrary<Partial<T>> {
  return fc.record<T, never>(fields, { requiredKeys: [], noNullPrototype: true }) as fc.Arbitrary<Partial<T>>;
}

const roundFields = { fleet: id, policy: id, cohort: id, round: word };
const plannedRoundFields = { ...roundFields, plan: bytes32 };

function distinct<T>(
  items: fc.Arbitrary<T>,
  minLength: number,
  maxLength: number,
  key: (item: T) => unknown,
) {
  return fc.uniqueArray(items, { minLength, maxLength, selector: (item) => String(key(item)) });
}

/** Distinct keys for a whole roster, by counting. */
function keysFrom(counter: { next: number }, withMlDsa: boolean) {
  const value = counter.next++;
  const ed25519 = filled(32, value & 0xff);
  ed25519[0] = value >> 8;
  if (!withMlDsa) return { ed25519 };
  const mlDsa = filled(1952, value & 0xff);
  mlDsa[0] = value >> 8;
  return { ed25519, 'ml-dsa-65': mlDsa };
}

const roster: fc.Arbitrary<BodyOf<'roster'>> = fc
  .record({
    fleet: id,
    version: word,
    aggregators: distinct(id, 1, 3, String),
    clients: distinct(
      fc.record({ id, status: fc.constantFrom('active' as const, 'suspended' as const, 'revoked' as const) }),
      0,
      6,
      (client) => client.id,
    ),
    custodians: distinct(fc.record({ id, epoch: word }), 1, 5, (custodian) => custodian.id),
    threshold: fc.nat(),
    quorumFloor: fc.integer({ min: 2, max: 65_536 }),
    maxUpdateBytes: fc.integer({ min: 1, max: 2 ** 40 }),
    parameterSets: distinct(parameterSet, 1, 2, String),
    noiseFloor: nonNegative,
    postQuantum: fc.boolean(),
    withOldestEpoch: fc.boolean(),
  })
  .map(({ postQuantum, withOldestEpoch, ...fields }) => {
    const counter = { next: 0 };
    const keys = () => keysFrom(counter, postQuantum);
    const kem = () => filled(KEM_PUBLIC_KEY_BYTES, counter.next++);
    return {
      ...fields,
      owner: { keys: keys(), kem: kem() },
      coordinator: { keys: keys() },
      aggregators: fields.aggregators.map((aggregator) => ({ id: aggregator, keys: keys() })),
      clients: fields.clients.map((client) => ({ ...client, keys: keys() })),
      custodians: fields.custodians.map((custodian, i) => ({
        ...custodian,
        index: i + 1,
        keys: keys(),
        kem: kem(),
      })),
      threshold: 1 + (fields.threshold % fields.custodians.length),
      ...(withOldestEpoch && { oldestOpenEpoch: Math.min(...fields.custodians.map(({ epoch }) => epoch)) }),
      signatureAlgorithms: postQuantum ? ['ed25519' as const, 'ml-dsa-65' as const] : ['ed25519' as const],
    };
  });

const tensor = fc
  .record({
    name: fc.stringMatching(/^[\x21-\x7e]{1,80}$/),
    shape: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 4 }),
    dtype: fc.constantFrom('F32' as const, 'F16' as const, 'BF16' as const),
    bits: fc.integer({ min: 2, max: 8 }),
    kept: fc.nat(),
    scale: positive,
  })
  .map((each) => {
    const elements = each.shape.reduce((product, size) => product * size, 1);
    return { ...each, kept: 1 + (each.kept % elements) };
  });
type RandomTensor = typeof tensor extends fc.Arbitrary<infer T> ? T : never;

/** One segment for each width that occurs, with numbers that fit together and nothing that makes them the cheapest. */
function segmentsFor(tensors: readonly RandomTensor[], maxClients: number, ringElements: number) {
  const widths = [...new Set(tensors.map(({ bits }) => bits))].sort((a, b) => a - b);
  return widths.map((bits) => {
    const fieldBits = bits + Math.ceil(Math.log2(maxClients));
    const fold = fieldBits <= 13 ? 2 : 1;
    const valueCount = tensors.reduce((sum, each) => sum + (each.bits === bits ? each.kept : 0), 0);
    const plaintextBits = fold * fieldBits;
    return { bits, valueCount, fieldBits, fold, plaintextBits, wireBits: plaintextBits + 5, ringElements };
  });
}

const requiredPlanFields = {
  ...roundFields,
  rosterVersion: word,
  rosterFingerprint: bytes32,
  parameterSet,
  seed: bytes32,
  keyEpoch: word,
  custodians: index,
  threshold: fc.nat(),
  quorum: fc.nat(),
  maxClients: fc.integer({ min: 2, max: 1024 }),
  ringElements: word,
  tensors: distinct(tensor, 1, 6, (each) => each.name),
  /** How many of the tensors, at most all but one, are frozen. */
  frozenCount: fc.option(fc.nat(), { nil: undefined }),
  rotationBlockLog2: fc.integer({ min: 0, max: 16 }),
  clip: positive,
  expertWeights: fc.option(fc.array(fc.double({ min: 0, minExcluded: true, max: 1, noNaN: true })), {
    nil: undefined,
  }),
  privacy: fc.option(
    fc.record({
      mechanism: fc.constantFrom('skellam' as const, 'discrete-gaussian' as const),
      clientVariance: fc.integer({ min: 1, max: 2 ** 32 }),
      l2Squared: fc.integer({ min: 1, max: 2 ** 40 }),
      colluders: fc.nat(),
      delta: fc.double({ min: 0, minExcluded: true, max: 1, maxExcluded: true, noNaN: true }),
    }),
    { nil: undefined },
  ),
  adapterSchema: bytes32,
  ledgerHeads: distinct(fc.record({ custodian: id, head: bytes32 }), 0, 4, (each) => each.custodian),
};

const plan: fc.Arbitrary<BodyOf<'plan'>> = fc
  .tuple(
    fc.record(requiredPlanFields, { noNullPrototype: true }),
    optional({
      samplesForFullWeight: fc.integer({ min: 1, max: 2 ** 40 }),
      staleness: fc.oneof(
        fc.record({ tau: positive }),
        fc.record({ maxRounds: count }),
        fc.record({ tau: positive, maxRounds: count }),
      ),
      profiles: fc.dictionary(id, bytes32, { maxKeys: 6, noNullPrototype: true }),
      adapterConfig: fc.uint8Array({ maxLength: 100 }),
      baseModel: text,
      deadline: fc.integer({ min: 0, max: 4_000_000_000_000 }),
    }),
  )
  .map(([{ maxClients, ringElements, frozenCount, expertWeights, privacy, ...fields }, rest]) => {
    const frozen = frozenCount === undefined ? 0 : frozenCount % fields.tensors.length;
    const sent = fields.tensors.slice(frozen);
    const experts = expertWeights?.map((weight, i) => ({ name: `expert-${i}`, weight }));
    const withExperts = experts !== undefined && experts.length > 0;
    const quorum = 2 + (fields.quorum % (maxClients - 1));
    return {
      ...fields,
      ...rest,
      threshold: 1 + (fields.threshold % fields.custodians),
      quorum,
      lwe: { maxClients, segments: segmentsFor(sent, maxClients, ringElements) },
      loraMode: frozen > 0 ? ('frozen-a' as const) : ('average' as const),
      tensors: sent.map((each, i) => ({
        ...each,
        // One grid where there is noise.
        ...(privacy !== undefined && { scale: fields.clip }),
        ...(withExperts && { expert: i % experts.length }),
      })),
      ...(frozen > 0 && {
        frozen: {
          tensors: fields.tensors.slice(0, frozen).map(({ name, shape, dtype }) => ({ name, shape, dtype })),
          digest: fields.seed,
        },
      }),
      ...(withExperts && { experts }),
      ...(privacy !== undefined && { privacy: { ...privacy, colluders: privacy.colluders % quorum } }),
    };
  });

const hash = bytes32;
const update: fc.Arbitrary<BodyOf<'update'>> = fc
  .tuple(
    fc.record({ ...plannedRoundFields, client: id, parameterSet, keyEpoch: word, adapterSchema: bytes32 }),
    optional({
      baseModel: text,
      targets: fc.record({
        modules: fc.array(fc.constantFrom('q_proj', 'layers.0.mlp'), { maxLength: 3 }),
        adapterIds: fc.array(id, { maxLength: 2 }),
      }),
      training: optional({
        steps: count,
        learningRate: nonNegative,
        objective: fc.constantFrom(
          'il' as const,
          'offline_rl' as const,
          'ppo' as const,
          'sac' as const,
          'td3' as const,
        ),
        rewardVersion: text,
        samples: count,
        datasetHash: hash,
        demonstrations: count,
        durationMs: nonNegative,
      }),
      safety: optional({
        saturatedValues: count,
        constraintViolations: count,
        oodScore: finite,
        klDivergence: finite,
        gradientNormMean: nonNegative,
        gradientNormMax: nonNegative,
      }),
      compression: fc
        .tuple(
          fc.record({ originalBytes: count, sealedBytes: count, bits: fc.integer({ min: 2, max: 8 }) }),
          optional({ keepRatio: fc.double({ min: 0, minExcluded: true, max: 1, noNaN: true }) }),
        )
        .map(([sizes, ratio]) => ({ ...sizes, ...ratio })),
      privacy: optional({
        mechanism: fc.constantFrom('skellam' as const, 'discrete-gaussian' as const),
        clip: positive,
        noiseMultiplier: nonNegative,
        epsilonSpent: nonNegative,
      }),
      weights: fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 2 ** 12, max: 2 ** 16 })), {
        minLength: 1,
        maxLength: 64,
      }),
      staleness: count,
      experts: fc.dictionary(id, nonNegative, { maxKeys: 4, noNullPrototype: true }),
      compatibility: optional({ robotModel: text, policyFamily: text, normalizationHash: hash }),
      timingsMs: optional({ train: nonNegative, compress: nonNegative, encrypt: nonNegative }),
    }),
  )
  .map(([required, rest]) => ({ schema: '1.0.0' as const, ...required, ...rest }));

const fingerprints = (minLength: number) =>
  distinct(bytes32, minLength, 8, (print) => Buffer.from(print).toString('hex')).map((list) =>
    [...list].sort(compareBytes),
  );

const aggregate: fc.Arbitrary<RandomMessage<'aggregate'>> = fc
  .record({
    round: fc.record({ ...plannedRoundFields, aggregator: id }),
    accepted: fingerprints(1),
    clients: distinct(id, 8, 8, String),
    envelopes: fc.array(fc.integer({ min: 20, max: 40 }), { minLength: 8, maxLength: 8 }),
    shares: fc.array(fc.nat(40), { minLength: 8, maxLength: 8 }),
    ciphertext: section,
    refused: fc.array(
      fc
        .tuple(
          fc.record({ source: text, code: fc.constant('update.wrong-plan'), message: text }),
          optional({ update: bytes32, client: id }),
        )
        .map(([required, rest]) => ({ ...required, ...rest })),
      { maxLength: 3 },
    ),
  })
  .map(({ round, accepted, clients, envelopes, shares, ciphertext, refused }) => {
    const envelopeLengths = accepted.map((_, i) => envelopes[i] as number);
    const shareLengths = accepted.map((_, i) => shares[i] as number);
    const sum = (lengths: number[]) => lengths.reduce((total, length) => total + length, 0);
    return {
      body: {
        ...round,
        accepted: accepted.map((print, i) => ({ client: clients[i] as string, update: print })),
        envelopeLengths,
        shareLengths,
        refused,
      },
      sections: [
        { name: 'ciphertext', data: ciphertext },
        { name: 'envelopes', data: filled(sum(envelopeLengths), 1) },
        { name: 'shares', data: filled(sum(shareLengths), 2) },
      ],
    };
  });

const partialSum: fc.Arbitrary<RandomMessage<'partial-sum'>> = aggregate.map(({ body, sections }) => {
  const { aggregator, refused: _, ...shared } = body;
  return { body: { ...shared, gateway: aggregator }, sections };
});

const answer: fc.Arbitrary<BodyOf<'answer'>> = fc.record({
  ...plannedRoundFields,
  set: bytes32,
  custodian: id,
  index,
  epoch: word,
  contributors: fc.integer({ min: 1, max: 65_536 }),
  ledgerHead: bytes32,
});

const close: fc.Arbitrary<BodyOf<'close'>> = fc
  .record({ round: fc.record(plannedRoundFields), opened: fingerprints(0), reason: text, set: fc.boolean() })
  .map(({ round, opened, reason, set }) => {
    if (opened.length === 0) return { ...round, opened, reason };
    return set ? { ...round, opened, set: setDigest(opened) } : { ...round, opened };
  });

const releasedFile = fc.record({ sizeBytes: fc.integer({ min: 1, max: 200 }), digest: bytes32 });

const release: fc.Arbitrary<RandomMessage<'release'>> = fc
  .record({
    required: fc.record({ fleet: id, policy: id, rosterVersion: word, adapterSchema: bytes32 }),
    optional: optional({
      round: fc.record({ cohort: id, round: word, plan: bytes32 }),
      baseModel: text,
      loraMode: fc.constantFrom('average' as const, 'frozen-a' as const),
      note: text,
    }),
    payload: fc.record({
      config: releasedFile,
      tensors: releasedFile,
      noncePrefix: fc.uint8Array({ minLength: 7, maxLength: 7 }),
    }),
    counter: fc.integer({ min: 2, max: 2 ** 32 - 1 }),
    recipients: distinct(fc.record({ client: id, kem: bytes32 }), 1, 4, ({ client }) => client),
    goesBack: fc.option(fc.record({ by: fc.nat(), withdrawn: fingerprints(1) }), { nil: undefined }),
  })
  .map(({ required, optional: rest, payload, counter, recipients, goesBack }) => {
    const sorted = [...recipients].sort((a, b) => (a.client < b.client ? -1 : 1));
    const body = {
      ...required,
      ...rest,
      payload,
      counter,
      recipients: sorted,
      adapterFingerprint: adapterFingerprint(payload),
      ...(goesBack !== undefined && {
        rollback: { to: 1 + (goesBack.by % (counter - 1)), withdrawn: goesBack.withdrawn },
      }),
    };
    return {
      body,
      sections: [
        { name: 'wraps', data: filled(sorted.length * RELEASE_WRAP_BYTES, 1) },
        { name: 'payload', data: filled(encryptedBytes(plaintextBytes(payload)), 2) },
      ],
    };
  });

const enrolment: fc.Arbitrary<BodyOf<'enrolment'>> = fc
  .record({
    common: fc.record({ fleet: id, id }),
    role: fc.constantFrom(
      'client' as const,
      'custodian' as const,
      'aggregator' as const,
      'coordinator' as const,
    ),
    postQuantum: fc.boolean(),
    kem: fc.uint8Array({ minLength: KEM_PUBLIC_KEY_BYTES, maxLength: KEM_PUBLIC_KEY_BYTES }),
    custodian: fc
      .tuple(
        fc.record({ epoch: word, ledgerHead: bytes32 }),
        optional({ restored: fc.constant(true as const) }),
      )
      .map(([required, rest]) => ({ ...required, ...rest })),
    owner: optional({ ownerKeyId: bytes32 }),
  })
  .map(({ common, role, postQuantum, kem, custodian, owner }) => ({
    ...common,
    role,
    keys: keysFrom({ next: 1 }, postQuantum),
    ...(role !== 'aggregator' && role !== 'coordinator' && { kem }),
    ...(role === 'custodian' && custodian),
    ...owner,
  }));

const limits = fc.tuple(finite, finite, finite).map((values) => {
  const [lower, estimate, upper] = [...values].sort((a, b) => a - b) as [number, number, number];
  return { lower, estimate, upper };
});

function metricOf(name: VerdictMetricName): fc.Arbitrary<VerdictMetric> {
  return fc
    .record({
      measured: fc.option(fc.tuple(limits, fc.boolean()), { nil: undefined }),
      bound: finite,
      waive: fc.boolean(),
      episodes: count,
      reason: text,
    })
    .map(({ measured, bound, waive, episodes, reason }) => {
      const side = name === 'success-rate' || name === 'ood-robustness' ? 'atLeast' : 'atMost';
      const common = { name, episodes, reason, ...(isBounded(name) && { [side]: bound }) };
      if (measured === undefined) {
        const outcome = waive && isWaivable(name) ? ('waived' as const) : ('not-measured' as const);
        return { ...common, outcome };
      }
      const [{ estimate, ...both }, hasLimits] = measured;
      const values = { ...common, estimate, ...(hasLimits && both) };
      return { ...values, outcome: isBounded(name) ? boundOutcome(values) : ('reported' as const) };
    });
}

const verdict: fc.Arbitrary<BodyOf<'verdict'>> = fc
  .tuple(
    fc.record({
      fleet: id,
      candidate: bytes32,
      baseline: bytes32,
      safety: bytes32,
      evaluator: fc.constantFrom(
        'command' as const,
        'module' as const,
        'function' as const,
        'eval-info' as const,
      ),
      confidence: fc.double({ min: 0.5, minExcluded: true, max: 1, maxExcluded: true, noNaN: true }),
      limitError: fc.double({ min: 0, minExcluded: true, max: 0.5, maxExcluded: true, noNaN: true }),
      episodes: fc.integer({ min: 1, max: 2 ** 40 }),
      reasons: fc.array(text, { minLength: 1, maxLength: 7 }),
    }),
    fc.record({ made: fc.integer({ min: 1, max: 32 }), more: fc.nat(31) }),
    fc.tuple(...VERDICT_METRICS.map(metricOf)),
    optional({ firstSeed: fc.integer({ min: 0, max: 2 ** 32 - 1 }) }),
    fc.option(fc.record({ attempt: fc.integer({ min: 2, max: 2 ** 32 - 1 }), replaces: bytes32 }), {
      nil: undefined,
    }),
  )
  .filter(([{ candidate, baseline }]) => compareBytes(candidate, baseline) !== 0)
  .map(([required, { made, more }, metrics, rest, again]) => ({
    ...required,
    ...rest,
    looks: { made, planned: Math.min(32, made + more) },
    metrics,
    outcome: overallOutcome(metrics),
    ...(again ?? { attempt: 1 }),
  }));

function withSections<K extends MessageKind>(
  body: fc.Arbitrary<BodyOf<K>>,
  ...names: string[]
): fc.Arbitrary<RandomMessage<K>> {
  const sections = fc.tuple(...names.map((name) => fc.record({ name: fc.constant(name), data: section })));
  return fc.record({ body, sections });
}

export const messageArbitraries: { [K in MessageKind]: fc.Arbitrary<RandomMessage<K>> } = {
  roster: withSections<'roster'>(roster),
  plan: withSections<'plan'>(plan),
  update: withSections<'update'>(update, 'ciphertext', 'shares'),
  'partial-sum': partialSum,
  aggregate,
  answer: withSections<'answer'>(answer, 'sealed'),
  close: withSections<'close'>(close),
  enrolment: withSections<'enrolment'>(enrolment),
  verdict: withSections<'verdict'>(verdict),
  release,
};
