import { expect } from 'chai';
import { PARAMETER_SET_NAMES } from '../../lib/lwe/parameters.js';
import type { Policy } from '../../lib/policy/policy.js';
import { parsePolicy } from '../../lib/policy/policy.js';
import { POLICY_PRESET_NAMES, presetPolicy } from '../../lib/policy/presets.js';
import { securityLevelOf } from '../../lib/policy/profiles/encryption.js';
import { expectRefusal } from '../support/refusals.js';

/** docs/policies.md: RDP of the Gaussian mechanism, composed and converted, over Opacus' orders. */
function gaussianEpsilon(noiseMultiplier: number, rounds: number, delta: number): number {
  const orders = [
    ...Array.from({ length: 99 }, (_, i) => 1.1 + i / 10),
    ...Array.from({ length: 52 }, (_, i) => 12 + i),
  ];
  return Math.min(
    ...orders.map(
      (a) => (rounds * a) / (2 * noiseMultiplier ** 2) + Math.log(1 - 1 / a) - Math.log(delta * a) / (a - 1),
    ),
  );
}

function roundsThatFit({ privacy }: Policy, noiseMultiplier = privacy.noiseMultiplier): number {
  let rounds = 0;
  while (gaussianEpsilon(noiseMultiplier, rounds + 1, privacy.delta) <= privacy.epsilon) rounds += 1;
  return rounds;
}

describe('presets', () => {
  const table: [
    what: string,
    of: (policy: Policy) => unknown,
    conservative: unknown,
    balanced: unknown,
    performance: unknown,
  ][] = [
    ['quorum', (p) => p.encryption.quorum, 5, 3, 3],
    [
      'custody',
      (p) => `${p.encryption.custodianThreshold} of ${p.encryption.custodians}`,
      '3 of 4',
      '3 of 4',
      '3 of 4',
    ],
    ['security level', (p) => p.encryption.securityLevel, 192, 128, 128],
    ['key rotation', (p) => p.encryption.keyRotationHours, 12, 24, 48],
    ['mechanism', (p) => p.privacy.mechanism, 'skellam', 'none', 'none'],
    ['epsilon', (p) => p.privacy.epsilon, 1, 10, 50],
    ['delta', (p) => p.privacy.delta, 1e-6, 1e-5, 1e-5],
    ['clip', (p) => p.privacy.clip, 0.5, 1, 2],
    ['noise multiplier', (p) => p.privacy.noiseMultiplier, 20, 1, 0.8],
    ['colluders', (p) => p.privacy.colluders, 1, 1, 1],
    ['hard stop', (p) => p.privacy.hardStop, true, true, false],
    ['bits', (p) => [p.training.bits.min, p.training.bits.max].join(), '8,8', '8,8', '4,4'],
    ['keep ratio', (p) => p.training.keepRatio, 0.01, 1, 0.1],
    ['relative error', (p) => p.training.maxRelativeError, undefined, undefined, undefined],
    ['discount', (p) => p.training.stalenessTau, undefined, undefined, undefined],
    ['staleness', (p) => p.training.maxStalenessRounds, undefined, undefined, undefined],
    ['parameters', (p) => p.envelope.maxTrainableParameters, 5e6, 10e6, 3e6],
    ['largest update', (p) => p.envelope.maxUpdateBytes, 1e6, 5e6, 2e6],
    ['target update', (p) => p.envelope.targetUpdateBytes, 5e5, 5e5, 5e5],
    ['cadence', (p) => p.envelope.roundIntervalSeconds, 86_400, 3600, 600],
    ['canary', (p) => p.envelope.canaryPercent, 5, 10, 20],
    ['regression', (p) => p.safety.maxRegression, 0.03, 0.05, 0.05],
  ];
  for (const [what, of, ...expected] of table) {
    it(`have as ${what} ${expected.join(' / ')}`, () => {
      expect(POLICY_PRESET_NAMES.map((name) => of(presetPolicy(name)))).to.deep.equal(expected);
    });
  }

  it('are copies: changing one does not change the next', () => {
    presetPolicy('balanced').envelope.allowedModules.push('x');
    expect(presetPolicy('balanced').envelope.allowedModules).to.deep.equal(['**']);
  });

  it('let the conservative budget last for nineteen rounds, where noise 2 does not last for one', () => {
    // DP-REFERENCE: sigma 1, one round, delta 1e-5, by the same formula.
    expect(gaussianEpsilon(1, 1, 1e-5)).to.be.closeTo(4.72851, 5e-5);
    const conservative = presetPolicy('conservative');
    expect(roundsThatFit(conservative)).to.equal(19);
    expect(roundsThatFit(conservative, 2)).to.equal(0);
    expect(gaussianEpsilon(2, 1, 1e-6)).to.be.closeTo(2.4, 0.05);
  });

  it('use up the budgets that they keep ready after 3 and 26 rounds, as the documents say', () => {
    expect(roundsThatFit(presetPolicy('balanced'))).to.equal(3);
    expect(roundsThatFit(presetPolicy('performance'))).to.equal(26);
  });

  it('permit lwe-192 alone at 192 bits, and both sets at 128', () => {
    const permitted = (name: 'conservative' | 'balanced'): string[] =>
      PARAMETER_SET_NAMES.filter(
        (set) => securityLevelOf(set) >= presetPolicy(name).encryption.securityLevel,
      );
    expect(permitted('conservative')).to.deep.equal(['lwe-192']);
    expect(permitted('balanced')).to.deep.equal(['lwe-192', 'lwe-128']);
  });
});

describe('a policy as a whole', () => {
  type Change = (policy: Policy) => void;
  const contradictions: Record<string, [field: string, change: Change]> = {
    'a target above the ceiling': [
      'envelope.targetUpdateBytes',
      (p) => (p.envelope.targetUpdateBytes = 5_000_001),
    ],
    'more than 5 MB without saying so': [
      'envelope.maxUpdateBytes',
      (p) => (p.envelope.maxUpdateBytes = 5_000_001),
    ],
    'a mechanism without a clip': [
      'privacy.clip',
      (p) => (p.privacy = { ...p.privacy, mechanism: 'skellam', clip: undefined }),
    ],
    'a mechanism without noise': [
      'privacy.noiseMultiplier',
      (p) => (p.privacy = { ...p.privacy, mechanism: 'discrete-gaussian', noiseMultiplier: 0 }),
    ],
    'a quorum of nothing but colluders': ['privacy.colluders', (p) => (p.privacy.colluders = 3)],
    'a quorum of two': ['encryption.quorum', (p) => (p.encryption.quorum = 2)],
    'a threshold above the custodians': [
      'encryption.custodianThreshold',
      (p) => (p.encryption.custodianThreshold = 5),
    ],
    'a threshold of half the custodians': [
      'encryption.custodianThreshold',
      (p) => (p.encryption.custodianThreshold = 2),
    ],
    'no Ed25519': [
      'encryption.signatureAlgorithms',
      (p) => (p.encryption.signatureAlgorithms = ['ml-dsa-65']),
    ],
    'bits the wrong way round': ['training.bits.min', (p) => (p.training.bits.max = 7)],
    'gradient norms the wrong way round': [
      'training.gradientNorm.min',
      (p) => (p.training.gradientNorm.min = 10),
    ],
    'a warm-up longer than the training': ['training.warmupSteps', (p) => (p.training.warmupSteps = 1001)],
    'an expert twice': [
      'experts',
      (p) => (p.experts = [0, 1].map(() => ({ name: 'vision', modules: ['v'], weight: 1 }))),
    ],
  };
  for (const [what, [field, change]] of Object.entries(contradictions)) {
    it(`refuses ${what}, naming field and source`, async () => {
      const policy = presetPolicy('balanced');
      change(policy);
      const error = await expectRefusal('policy.contradiction', () =>
        parsePolicy(policy, (name) => `source of ${name}`),
      );
      expect(error.message).to.include(field).and.include(`source of ${field}`);
    });
  }

  const permitted: Record<string, Change> = {
    'a quorum of two where it is said': (p) =>
      Object.assign(p.encryption, { quorum: 2, allowQuorumOfTwo: true }),
    'more than 5 MB where it is said': (p) =>
      Object.assign(p.envelope, { maxUpdateBytes: 20_000_000, allowRaisedCeiling: true }),
    'a single custodian': (p) => Object.assign(p.encryption, { custodians: 1, custodianThreshold: 1 }),
    'no clip without a mechanism': (p) => {
      p.privacy.clip = undefined;
    },
  };
  for (const [what, change] of Object.entries(permitted)) {
    it(`permits ${what}`, () => {
      const policy = presetPolicy('balanced');
      change(policy);
      expect(parsePolicy(policy)).to.deep.equal(policy);
    });
  }
});
