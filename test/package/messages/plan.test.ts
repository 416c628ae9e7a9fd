import { expect } from 'chai';
import type { BodyOf } from '../../../lib/package/messages/registry.js';
import { bytes32, filled, smallBodies } from '../fixtures.js';
import { describeRefusals, issuesOf } from './refusals.js';

type Plan = BodyOf<'plan'>;

const frozen = {
  tensors: [{ name: 'frozen.lora_A.weight', shape: [4, 8], dtype: 'F32' }],
  digest: bytes32(1),
};
const privacy = {
  mechanism: 'skellam',
  clientVariance: 40,
  l2Squared: 1000,
  colluders: 1,
  delta: 1e-5,
};
const experts = [
  { name: 'vision', weight: 0.5 },
  { name: 'action', weight: 1 },
];

/** The plan's segments with the one of this index changed. */
function withSegment({ lwe }: Plan, index: number, changes: object): Record<string, unknown> {
  const segments = lwe.segments.map((segment, i) => (i === index ? { ...segment, ...changes } : segment));
  return { lwe: { ...lwe, segments } };
}

/** The plan's tensors with the first changed. */
function withTensor({ tensors: [first, ...rest] }: Plan, changes: object): Record<string, unknown> {
  return { tensors: [{ ...first, ...changes }, ...rest] };
}

function onOneGrid({ tensors }: Plan): Record<string, unknown> {
  return { tensors: tensors.map((tensor) => ({ ...tensor, scale: 0.5 })) };
}

function ofExperts({ tensors }: Plan): Record<string, unknown> {
  return { tensors: tensors.map((tensor, i) => ({ ...tensor, expert: i % 2 })) };
}

const optionalFields = [
  'frozen',
  'experts',
  'samplesForFullWeight',
  'staleness',
  'privacy',
  'profiles',
  'adapterConfig',
  'baseModel',
  'deadline',
];

describe('a plan', () => {
  describeRefusals('plan', optionalFields, [
    ['round 0', () => ({ round: 0 }), 'round'],
    ['roster version 0', () => ({ rosterVersion: 0 }), 'rosterVersion'],
    ['a seed of another length', () => ({ seed: filled(16, 1) }), 'seed'],
    ['key epoch 0', () => ({ keyEpoch: 0 }), 'keyEpoch'],
    ['a threshold above the number of custodians', () => ({ threshold: 4 }), 'threshold'],
    ['a quorum of 1', () => ({ quorum: 1 }), 'quorum'],
    ['a quorum above the number of clients', () => ({ quorum: 17 }), 'quorum'],
    ['one client', ({ lwe }) => ({ lwe: { ...lwe, maxClients: 1 } }), 'lwe.maxClients'],
    ['no segment', ({ lwe }) => ({ lwe: { ...lwe, segments: [] } }), 'lwe.segments'],
    [
      'more segments than there are widths',
      ({ lwe }) => ({ lwe: { ...lwe, segments: new Array(8).fill(lwe.segments[0]) } }),
      'lwe.segments',
    ],
    [
      'segments that do not ascend by width',
      ({ lwe }) => ({ lwe: { ...lwe, segments: [...lwe.segments].reverse() } }),
      'lwe.segments',
    ],
    [
      'two segments of one width',
      ({ lwe }) => ({ lwe: { ...lwe, segments: [lwe.segments[0], ...lwe.segments] } }),
      'lwe.segments',
    ],
    ['one bit a value', (plan) => withSegment(plan, 0, { bits: 1 }), 'lwe.segments.0.bits'],
    ['nine bits a value', (plan) => withSegment(plan, 1, { bits: 9 }), 'lwe.segments.1.bits'],
    [
      'plaintext bits that are not fold times field bits',
      (plan) => withSegment(plan, 1, { fold: 2, wireBits: 30 }),
      'lwe.segments',
    ],
    [
      'no more wire bits than plaintext bits',
      (plan) => withSegment(plan, 1, { wireBits: 12 }),
      'lwe.segments',
    ],
    ['no ring element', (plan) => withSegment(plan, 1, { ringElements: 0 }), 'lwe.segments.1.ringElements'],
    [
      'a segment without values',
      (plan) => withSegment(plan, 0, { valueCount: 0 }),
      'lwe.segments.0.valueCount',
    ],
    [
      'a value count that the tensors of this width do not have',
      (plan) => withSegment(plan, 1, { valueCount: 36 }),
      'lwe.segments',
    ],
    [
      'a width that no segment has',
      ({ tensors, lwe }) => ({
        tensors,
        lwe: { ...lwe, segments: lwe.segments.filter(({ bits }) => bits === 8) },
      }),
      'tensors',
    ],
    ['an unknown LoRA mode', () => ({ loraMode: 'frozen-b' }), 'loraMode'],
    ['no tensor', () => ({ tensors: [] }), 'tensors'],
    [
      'a tensor name twice',
      ({ tensors: [a, b, c] }) => ({ tensors: [a, { ...b, name: a?.name }, c] }),
      'tensors',
    ],
    ['a dimension of 0', (plan) => withTensor(plan, { shape: [0, 8] }), 'tensors.0.shape.0'],
    ['nine dimensions', (plan) => withTensor(plan, { shape: new Array(9).fill(2) }), 'tensors.0.shape'],
    ['an unknown number format', (plan) => withTensor(plan, { dtype: 'F64' }), 'tensors.0.dtype'],
    [
      'a tensor that keeps more than any update holds',
      (plan) => withTensor(plan, { kept: 2 ** 41 }),
      'tensors.0.kept',
    ],
    ['a tensor of which nothing is kept', (plan) => withTensor(plan, { kept: 0 }), 'tensors.0.kept'],
    [
      'a tensor that keeps more than it has',
      (plan) => ({ ...withSegment(plan, 1, { valueCount: 34 }), ...withTensor(plan, { kept: 33 }) }),
      'tensors',
    ],
    ['a scale of 0', (plan) => withTensor(plan, { scale: 0 }), 'tensors.0.scale'],
    ['an infinite scale', (plan) => withTensor(plan, { scale: Number.POSITIVE_INFINITY }), 'tensors.0.scale'],
    ['a clip of a tensor', (plan) => withTensor(plan, { clip: 1 }), 'tensors.0'],
    ['a rotation of blocks that no kernel has', () => ({ rotationBlockLog2: 17 }), 'rotationBlockLog2'],
    ['a clip of 0', () => ({ clip: 0 }), 'clip'],
    ['an infinite clip', () => ({ clip: Number.POSITIVE_INFINITY }), 'clip'],
    ['frozen tensors where factors are averaged', () => ({ frozen }), 'frozen'],
    ['frozen-a without the frozen tensors', () => ({ loraMode: 'frozen-a' }), 'frozen'],
    [
      'frozen-a with an empty list',
      () => ({ loraMode: 'frozen-a', frozen: { ...frozen, tensors: [] } }),
      'frozen.tensors',
    ],
    [
      'frozen tensors without their digest',
      () => ({ loraMode: 'frozen-a', frozen: { tensors: frozen.tensors } }),
      'frozen.digest',
    ],
    [
      'a tensor that is both sent and frozen',
      ({ tensors }) => ({
        loraMode: 'frozen-a',
        frozen: { ...frozen, tensors: [{ ...frozen.tensors[0], name: tensors[1]?.name }] },
      }),
      'tensors',
    ],
    ['an empty list of experts', () => ({ experts: [] }), 'experts'],
    ['experts that tensors do not belong to', () => ({ experts }), 'tensors'],
    ['tensors of experts where there are none', (plan) => ofExperts(plan), 'tensors'],
    [
      'a tensor of an expert beyond the list',
      (plan) => ({ ...ofExperts(plan), experts: experts.slice(0, 1) }),
      'tensors',
    ],
    [
      'an expert name twice',
      (plan) => ({ ...ofExperts(plan), experts: [experts[0], experts[0]] }),
      'experts',
    ],
    [
      'an expert of weight 0',
      (plan) => ({ ...ofExperts(plan), experts: [experts[0], { name: 'action', weight: 0 }] }),
      'experts.1.weight',
    ],
    [
      'an expert of weight above 1',
      (plan) => ({ ...ofExperts(plan), experts: [experts[0], { name: 'action', weight: 1.5 }] }),
      'experts.1.weight',
    ],
    ['a full weight from 0 samples on', () => ({ samplesForFullWeight: 0 }), 'samplesForFullWeight'],
    ['a discount that says nothing', () => ({ staleness: {} }), 'staleness'],
    ['a discount over 0 rounds', () => ({ staleness: { tau: 0 } }), 'staleness.tau'],
    ['a fraction of a round', () => ({ staleness: { maxRounds: 0.5 } }), 'staleness.maxRounds'],
    ['less than no rounds', () => ({ staleness: { maxRounds: -1 } }), 'staleness.maxRounds'],
    ['noise on several grids', () => ({ privacy }), 'tensors'],
    [
      'as many colluders as the quorum has clients',
      (plan) => ({ ...onOneGrid(plan), privacy: { ...privacy, colluders: plan.quorum } }),
      'privacy.colluders',
    ],
    [
      'an unknown mechanism',
      (plan) => ({ ...onOneGrid(plan), privacy: { ...privacy, mechanism: 'laplace' } }),
      'privacy.mechanism',
    ],
    [
      'noise of variance 0',
      (plan) => ({ ...onOneGrid(plan), privacy: { ...privacy, clientVariance: 0 } }),
      'privacy.clientVariance',
    ],
    [
      'noise of a fractional variance',
      (plan) => ({ ...onOneGrid(plan), privacy: { ...privacy, clientVariance: 0.5 } }),
      'privacy.clientVariance',
    ],
    [
      'noise of more variance than tables are made for',
      (plan) => ({ ...onOneGrid(plan), privacy: { ...privacy, clientVariance: 2 ** 32 + 1 } }),
      'privacy.clientVariance',
    ],
    [
      'a sensitivity of 0',
      (plan) => ({ ...onOneGrid(plan), privacy: { ...privacy, l2Squared: 0 } }),
      'privacy.l2Squared',
    ],
    ['a delta of 1', (plan) => ({ ...onOneGrid(plan), privacy: { ...privacy, delta: 1 } }), 'privacy.delta'],
    ['a profile that is text', () => ({ profiles: { policy: 'balanced' } }), 'profiles.policy'],
    [
      'two heads of one custodian',
      ({ ledgerHeads: [head] }) => ({ ledgerHeads: [head, { ...head, head: bytes32(9) }] }),
      'ledgerHeads',
    ],
    [
      'an adapter configuration of more than 64 KiB',
      () => ({ adapterConfig: filled(65_537, 1) }),
      'adapterConfig',
    ],
    ['an adapter configuration that is text', () => ({ adapterConfig: '{}' }), 'adapterConfig'],
    ['a base model that is two lines', () => ({ baseModel: 'a\nb' }), 'baseModel'],
    ['a deadline that is no time', () => ({ deadline: -1 }), 'deadline'],
  ]);

  it('may keep a part of a tensor of any size', () => {
    const plan = smallBodies().plan;
    expect(issuesOf('plan', withTensor(plan, { shape: new Array(8).fill(2 ** 40) }))).to.deep.equal([]);
  });

  it('may freeze, weigh and add noise, all at once', () => {
    const plan = smallBodies().plan;
    const tensors = plan.tensors.map((tensor, i) => ({ ...tensor, scale: 0.5, expert: i % 2 }));
    const all = {
      frozen,
      experts,
      samplesForFullWeight: 1000,
      staleness: { tau: 2.5, maxRounds: 0 },
      privacy,
      profiles: { policy: bytes32(1), privacy: bytes32(2) },
      adapterConfig: filled(65_536, 1),
      baseModel: 'lerobot/smolvla_base',
      deadline: 1_764_000_000_000,
    };
    expect(Object.keys(all)).to.have.members(optionalFields);
    expect(issuesOf('plan', { ...all, tensors, loraMode: 'frozen-a' })).to.deep.equal([]);
  });
});
