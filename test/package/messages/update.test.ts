import { expect } from 'chai';
import { bytes32, filled } from '../fixtures.js';
import { describeRefusals, issuesOf } from './refusals.js';

const optionalFields = [
  'baseModel',
  'targets',
  'training',
  'safety',
  'compression',
  'privacy',
  'weights',
  'staleness',
  'experts',
  'compatibility',
  'timingsMs',
];

describe('an update', () => {
  describeRefusals('update', optionalFields, [
    ['another schema version', () => ({ schema: '1.0.1' }), 'schema'],
    ['a plan fingerprint of another length', () => ({ plan: filled(20, 1) }), 'plan'],
    ['a client id that is a path', () => ({ client: '../x' }), 'client'],
    ['an unknown parameter set', () => ({ parameterSet: 'ternary' }), 'parameterSet'],
    ['key epoch 0', () => ({ keyEpoch: 0 }), 'keyEpoch'],
    ['targets without adapter ids', () => ({ targets: { modules: [] } }), 'targets.adapterIds'],
    ['an unknown objective', () => ({ training: { objective: 'bc' } }), 'training.objective'],
    ['a fractional number of steps', () => ({ training: { steps: 0.5 } }), 'training.steps'],
    [
      'a data set hash of another length',
      () => ({ training: { datasetHash: filled(20, 1) } }),
      'training.datasetHash',
    ],
    ['null for unknown training metadata', () => ({ training: { samples: null } }), 'training.samples'],
    ['unknown training metadata', () => ({ training: { mood: 1 } }), 'training'],
    ['a negative gradient norm', () => ({ safety: { gradientNormMax: -1 } }), 'safety.gradientNormMax'],
    ['a score that is not finite', () => ({ safety: { oodScore: Number.NaN } }), 'safety.oodScore'],
    [
      'one bit a value',
      () => ({ compression: { originalBytes: 1, sealedBytes: 1, bits: 1 } }),
      'compression.bits',
    ],
    [
      'compression without the sealed size',
      () => ({ compression: { originalBytes: 1, bits: 8 } }),
      'compression.sealedBytes',
    ],
    [
      'a keep ratio above 1',
      () => ({ compression: { originalBytes: 1, sealedBytes: 1, bits: 8, keepRatio: 1.1 } }),
      'compression.keepRatio',
    ],
    [
      'a keep ratio of 0',
      () => ({ compression: { originalBytes: 1, sealedBytes: 1, bits: 8, keepRatio: 0 } }),
      'compression.keepRatio',
    ],
    ['an unknown mechanism', () => ({ privacy: { mechanism: 'none' } }), 'privacy.mechanism'],
    ['a clip of 0', () => ({ privacy: { clip: 0 } }), 'privacy.clip'],
    ['a negative epsilon', () => ({ privacy: { epsilonSpent: -1 } }), 'privacy.epsilonSpent'],
    ['half a round of staleness', () => ({ staleness: 0.5 }), 'staleness'],
    ['an update from the future', () => ({ staleness: -1 }), 'staleness'],
    ['an empty list of weights', () => ({ weights: [] }), 'weights'],
    ['more weights than a plan has experts', () => ({ weights: new Array(65).fill(1) }), 'weights'],
    ['a weight above 1', () => ({ weights: [65_536, 65_537] }), 'weights.1'],
    ['a weight below 1/16 that is not 0', () => ({ weights: [0, 4095] }), 'weights.1'],
    ['a negative weight', () => ({ weights: [-1] }), 'weights.0'],
    ['a weight that is no integer', () => ({ weights: [0.5] }), 'weights.0'],
    ['a negative expert weight', () => ({ experts: { vision: -1 } }), 'experts.vision'],
    ['an expert of impossible name', () => ({ experts: { 'a b': 1 } }), 'experts.a b'],
    [
      'a normalization hash that is text',
      () => ({ compatibility: { normalizationHash: 'x' } }),
      'compatibility.normalizationHash',
    ],
    ['a negative duration', () => ({ timingsMs: { encrypt: -1 } }), 'timingsMs.encrypt'],
  ]);

  it('may carry all of what is optional', () => {
    const all = {
      baseModel: 'openvla/openvla-7b',
      targets: { modules: ['q_proj'], adapterIds: ['default'] },
      training: {
        steps: 10,
        learningRate: 3e-5,
        objective: 'td3',
        rewardVersion: 'v2',
        samples: 100,
        datasetHash: bytes32(1),
        demonstrations: 3,
        durationMs: 12.5,
      },
      safety: {
        saturatedValues: 0,
        constraintViolations: 1,
        oodScore: -0.5,
        klDivergence: -1e-3,
        gradientNormMean: 1,
        gradientNormMax: 2,
      },
      compression: { originalBytes: 100, sealedBytes: 50, bits: 8, keepRatio: 0.1 },
      privacy: { mechanism: 'discrete-gaussian', clip: 1, noiseMultiplier: 0, epsilonSpent: 0.5 },
      weights: [0, 65_536, 13_107],
      staleness: 3,
      experts: { vision: 0.2, action: 1 },
      compatibility: { robotModel: 'arm-7', policyFamily: 'openvla', normalizationHash: bytes32(2) },
      timingsMs: { train: 1, compress: 2, encrypt: 3 },
    };
    expect(Object.keys(all)).to.have.members(optionalFields);
    expect(issuesOf('update', all)).to.deep.equal([]);
  });
});
