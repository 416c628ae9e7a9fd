/** What each setting must accept and refuse, written down by hand: an oracle for schemas and documents. */

export interface SettingExamples {
  /** Both ends of what is allowed, and others within; at least two that differ. */
  readonly good: readonly unknown[];
  readonly bad: readonly unknown[];
}

const NOT_NUMBERS = ['1', true, [], {}, Number.NaN, Number.POSITIVE_INFINITY];

function integers(min: number, max: number): SettingExamples {
  return { good: [min, max], bad: [min - 1, max + 1, min + 0.5, ...NOT_NUMBERS] };
}

function numbers(min: number, max: number): SettingExamples {
  return { good: [min, (min + max) / 2, max], bad: [min - 1e-3, max + 1e-3, ...NOT_NUMBERS] };
}

function positives(max: number): SettingExamples {
  return { good: [1e-9, max], bad: [0, -1, max * 1.01, ...NOT_NUMBERS] };
}

const booleans: SettingExamples = { good: [true, false], bad: [0, 1, 'true', []] };

const BAD_PATTERNS = [['a b'], ['a,b'], [''], ['x'.repeat(257)], ['caf\u00e9'], ['a', 'a'], [1], 'a', {}];

export const SETTING_EXAMPLES: Readonly<Record<string, SettingExamples>> = {
  'envelope.peftTypes': {
    good: [['LORA'], ['IA3', 'LORA'], ['X'.repeat(32)]],
    bad: [[], ['lora'], ['LORA', 'LORA'], 'LORA', ['X'.repeat(33)], ['']],
  },
  'envelope.allowedModules': { good: [['**'], ['a.*', 'b'], ['x'.repeat(256)]], bad: [[], ...BAD_PATTERNS] },
  'envelope.fullLayers': { good: [[], ['lm_head'], ['**.head']], bad: BAD_PATTERNS },
  'envelope.maxTrainableParameters': integers(1, 1e9),
  'envelope.targetUpdateBytes': integers(10_000, 1e9),
  'envelope.maxUpdateBytes': integers(10_000, 1e9),
  'envelope.allowRaisedCeiling': booleans,
  'envelope.roundIntervalSeconds': integers(600, 86_400),
  'envelope.canaryPercent': integers(5, 20),
  'envelope.automaticRollback': booleans,
  'envelope.serverOperations': {
    good: [['ciphertext_sum'], ['ciphertext_average'], ['ciphertext_average', 'ciphertext_sum']],
    bad: [[], ['decrypt'], ['ciphertext_sum', 'ciphertext_sum'], 'ciphertext_sum'],
  },
  'envelope.plaintextInspection': { good: [false], bad: [true, 0, 'false'] },
  'privacy.mechanism': {
    good: ['none', 'skellam', 'discrete-gaussian'],
    bad: ['gaussian', 'SKELLAM', '', 0, false],
  },
  'privacy.epsilon': positives(1000),
  'privacy.delta': positives(0.01),
  'privacy.clip': positives(1e6),
  'privacy.noiseMultiplier': numbers(0, 10_000),
  'privacy.colluders': integers(0, 65_535),
  'privacy.hardStop': booleans,
  'encryption.securityLevel': { good: [128, 192], bad: [0, 106, 129, 256, '128'] },
  'encryption.keyRotationHours': integers(1, 8760),
  'encryption.quorum': integers(2, 65_536),
  'encryption.allowQuorumOfTwo': booleans,
  'encryption.custodians': integers(1, 255),
  'encryption.custodianThreshold': integers(1, 255),
  'encryption.signatureAlgorithms': {
    good: [['ed25519'], ['ed25519', 'ml-dsa-65']],
    bad: [[], ['rsa'], ['ed25519', 'ed25519'], 'ed25519'],
  },
  'training.loraMode': { good: ['average', 'frozen-a'], bad: ['frozen-b', '', true] },
  'training.bits.min': integers(2, 8),
  'training.bits.max': integers(2, 8),
  'training.keepRatio': { good: [1e-9, 0.5, 1, 'auto'], bad: [0, -0.1, 1.01, 'all', true, Number.NaN] },
  'training.keepRatios': {
    good: [[], [{ modules: ['a.**'], keepRatio: 0.5 }], [{ modules: ['a', 'b'], keepRatio: 1 }]],
    bad: [
      {},
      [{ modules: ['a'] }],
      [{ modules: [], keepRatio: 1 }],
      [{ modules: ['a'], keepRatio: 0 }],
      [{ modules: ['a'], keepRatio: 2 }],
      [{ modules: ['a'], keepRatio: 1, weight: 1 }],
    ],
  },
  'training.rotation': booleans,
  'training.errorFeedback': booleans,
  'training.maxRelativeError': positives(100),
  'training.gradientNorm.min': positives(1e9),
  'training.gradientNorm.max': positives(1e9),
  'training.learningRate': positives(10),
  'training.batchSize': integers(1, 65_536),
  'training.maxSteps': integers(1, 10_000_000),
  'training.warmupSteps': integers(0, 10_000_000),
  'training.samplesForFullWeight': integers(1, 1e9),
  'training.stalenessTau': positives(1e6),
  'training.maxStalenessRounds': integers(0, 1e6),
  'safety.minSuccessRate': numbers(0, 1),
  'safety.maxConstraintViolations': integers(0, 1_000_000),
  'safety.maxKlDivergence': numbers(0, 1000),
  'safety.maxRegression': numbers(0, 1),
  'safety.minOodRobustness': numbers(0, 1),
  'safety.confidence': numbers(0.8, 0.999),
  'safety.maxEpisodes': integers(1, 1_000_000),
  'safety.reportedOutliers': { good: ['ignore', 'flag', 'refuse'], bad: ['off', '', true, 1] },
  experts: {
    good: [
      [],
      [{ name: 'vision', modules: ['v.**'], weight: 1 }],
      [{ name: 'other', modules: [], weight: 0.5 }],
    ],
    bad: [
      {},
      [{ name: '', modules: ['a'], weight: 1 }],
      [{ name: '../a', modules: ['a'], weight: 1 }],
      [{ name: 'a', modules: ['a'], weight: 0 }],
      [{ name: 'a', modules: ['a'], weight: 1.2 }],
      [{ name: 'a', modules: ['a'] }],
    ],
  },
};

/** Settings that may be unset. */
export const OPTIONAL_SETTINGS = [
  'privacy.clip',
  'training.maxRelativeError',
  'training.samplesForFullWeight',
  'training.stalenessTau',
  'training.maxStalenessRounds',
];

/** `{ privacy: { clip: 1 } }` for `privacy.clip` and 1. */
export function documentWith(field: string, value: unknown): unknown {
  return field.split('.').reduceRight<unknown>((inner, part) => ({ [part]: inner }), value);
}
