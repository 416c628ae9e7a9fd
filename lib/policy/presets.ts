/** The three policies to start from; docs/policies.md compares them. */
import { type Policy, parsePolicy } from './policy.js';

export const POLICY_PRESET_NAMES = ['conservative', 'balanced', 'performance'] as const;
export type PolicyPresetName = (typeof POLICY_PRESET_NAMES)[number];
export const DEFAULT_PRESET: PolicyPresetName = 'balanced';

const balanced: Policy = {
  envelope: {
    peftTypes: ['LORA'],
    allowedModules: ['**'],
    fullLayers: [],
    maxTrainableParameters: 10_000_000,
    targetUpdateBytes: 500_000,
    maxUpdateBytes: 5_000_000,
    allowRaisedCeiling: false,
    roundIntervalSeconds: 3600,
    canaryPercent: 10,
    automaticRollback: true,
    serverOperations: ['ciphertext_sum', 'ciphertext_average'],
    plaintextInspection: false,
  },
  // The values wait for a mechanism; with `none` they decide nothing.
  privacy: {
    mechanism: 'none',
    epsilon: 10,
    delta: 1e-5,
    clip: 1,
    noiseMultiplier: 1,
    colluders: 1,
    hardStop: true,
  },
  encryption: {
    securityLevel: 128,
    keyRotationHours: 24,
    quorum: 3,
    allowQuorumOfTwo: false,
    custodians: 4,
    custodianThreshold: 3,
    signatureAlgorithms: ['ed25519'],
  },
  training: {
    loraMode: 'average',
    bits: { min: 8, max: 8 },
    // With error feedback at keep ratio k an update needs about 1/k rounds to arrive whole.
    keepRatio: 1,
    keepRatios: [],
    rotation: true,
    errorFeedback: true,
    gradientNorm: { min: 1e-6, max: 10 },
    learningRate: 1e-4,
    batchSize: 8,
    maxSteps: 1000,
    warmupSteps: 100,
  },
  safety: {
    minSuccessRate: 0.8,
    maxConstraintViolations: 5,
    maxKlDivergence: 0.5,
    maxRegression: 0.05,
    minOodRobustness: 0.6,
    confidence: 0.95,
    maxEpisodes: 800,
    // What clients say of themselves is a signal, and no evidence.
    reportedOutliers: 'flag',
  },
  experts: [],
};

const conservative: Policy = {
  ...balanced,
  envelope: {
    ...balanced.envelope,
    maxTrainableParameters: 5_000_000,
    maxUpdateBytes: 1_000_000,
    roundIntervalSeconds: 86_400,
    canaryPercent: 5,
  },
  privacy: {
    mechanism: 'skellam',
    epsilon: 1,
    delta: 1e-6,
    clip: 0.5,
    // At 2 a single round costs more than epsilon 1; at 20 some twenty rounds fit.
    noiseMultiplier: 20,
    colluders: 1,
    hardStop: true,
  },
  encryption: { ...balanced.encryption, securityLevel: 192, keyRotationHours: 12, quorum: 5 },
  training: { ...balanced.training, keepRatio: 0.01 },
  safety: { ...balanced.safety, maxRegression: 0.03 },
};

const performance: Policy = {
  ...balanced,
  envelope: {
    ...balanced.envelope,
    maxTrainableParameters: 3_000_000,
    maxUpdateBytes: 2_000_000,
    roundIntervalSeconds: 600,
    canaryPercent: 20,
  },
  privacy: { ...balanced.privacy, epsilon: 50, clip: 2, noiseMultiplier: 0.8, hardStop: false },
  encryption: { ...balanced.encryption, keyRotationHours: 48 },
  training: { ...balanced.training, bits: { min: 4, max: 4 }, keepRatio: 0.1 },
};

const PRESETS: Readonly<Record<PolicyPresetName, Policy>> = { conservative, balanced, performance };

/** A preset, as a copy of the caller's own. */
export function presetPolicy(name: PolicyPresetName): Policy {
  return parsePolicy(structuredClone(PRESETS[name]));
}

export function isPresetName(value: unknown): value is PolicyPresetName {
  return POLICY_PRESET_NAMES.some((name) => name === value);
}
