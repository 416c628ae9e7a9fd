import { expect } from 'chai';
import fc from 'fast-check';
import { RefusedError } from '../../lib/errors.js';
import { type PlanFacts, type PlanPrivacyFacts, requirePlanWithinPolicy } from '../../lib/policy/bounds.js';
import { type Policy, policySchema } from '../../lib/policy/policy.js';
import { POLICY_PRESET_NAMES, presetPolicy } from '../../lib/policy/presets.js';
import { factsAtTheEdge, noiseAsDemanded } from './support/plan-facts.js';

const MODULES = ['m.q_proj', 'm.v', 'x.q', 'lm_head'] as const;
const LEVELS = [128, 192] as const;

const policies: fc.Arbitrary<Policy> = fc
  .record({
    preset: fc.constantFrom(...POLICY_PRESET_NAMES),
    mechanism: fc.constantFrom('none' as const, 'skellam' as const, 'discrete-gaussian' as const),
    level: fc.constantFrom(...LEVELS),
    quorum: fc.integer({ min: 3, max: 6 }),
    custody: fc.constantFrom([1, 1], [2, 2], [2, 3], [3, 4], [4, 5], [4, 7]),
    loraMode: fc.constantFrom('average' as const, 'frozen-a' as const),
    allowed: fc.constantFrom<string[][]>(['**'], ['m.*'], ['x.**', '*.q_proj']),
    fullLayers: fc.constantFrom<string[][]>([], ['lm_head'], ['**']),
    postQuantum: fc.boolean(),
    maxRelativeError: fc.option(fc.double({ min: 0.01, max: 1, noNaN: true }), { nil: undefined }),
    stalenessTau: fc.option(fc.constantFrom(0.5, 4), { nil: undefined }),
    maxStalenessRounds: fc.option(fc.constantFrom(0, 5), { nil: undefined }),
  })
  .map((chosen) => {
    const policy = presetPolicy(chosen.preset);
    policy.privacy.mechanism = chosen.mechanism;
    policy.encryption.securityLevel = chosen.level;
    policy.encryption.quorum = chosen.quorum;
    [policy.encryption.custodianThreshold, policy.encryption.custodians] = chosen.custody as [number, number];
    policy.training.loraMode = chosen.loraMode;
    policy.envelope.allowedModules = chosen.allowed;
    policy.envelope.fullLayers = chosen.fullLayers;
    if (chosen.postQuantum) policy.encryption.signatureAlgorithms = ['ed25519', 'ml-dsa-65'];
    policy.training.maxRelativeError = chosen.maxRelativeError;
    policy.training.stalenessTau = chosen.stalenessTau;
    policy.training.maxStalenessRounds = chosen.maxStalenessRounds;
    return policySchema.parse(policy);
  });

const tensors: fc.Arbitrary<PlanFacts['tensors']> = fc.array(
  fc.record({
    name: fc.constant('t'),
    module: fc.constantFrom(...MODULES),
    kind: fc.constantFrom('lora-a' as const, 'lora-b' as const, 'full' as const),
  }),
  { maxLength: 3 },
);

/** With a dozen bounds each field has to stay within its own mostly, or no plan passes them all. */
function mostly<T>(within: fc.Arbitrary<T>, otherwise: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 12, arbitrary: within }, { weight: 1, arbitrary: otherwise });
}

/** On 1 and to both sides of it. */
const factor = mostly(fc.constant(1), fc.double({ min: 0.5, max: 2, noNaN: true }));
const step = mostly(fc.integer({ min: 0, max: 2 }), fc.constant(-1));

/** Plans near a policy's bounds, some within and some beyond. */
function factsNear(policy: Policy): fc.Arbitrary<PlanFacts> {
  const edge = factsAtTheEdge(policy);
  const demanded = noiseAsDemanded(policy);
  return fc
    .record({
      parameterSet: mostly<PlanFacts['parameterSet']>(fc.constant('lwe-192'), fc.constant('lwe-128')),
      quorum: step,
      threshold: step,
      custodians: mostly(fc.constant(0), fc.constantFrom(-1, 1, 2)),
      algorithms: mostly<PlanFacts['signatureAlgorithms']>(
        fc.constant(['ed25519', 'ml-dsa-65']),
        fc.constant(['ed25519']),
      ),
      sizes: fc.tuple(factor, factor, factor, factor),
      loraMode: mostly<PlanFacts['loraMode']>(
        fc.constant(edge.loraMode),
        fc.constantFrom('average', 'frozen-a'),
      ),
      tensors: mostly(fc.constant(edge.tensors.slice(1)), tensors),
      noise: fc.option(
        fc.tuple(factor, factor, factor, step, mostly(fc.constant(true), fc.constant(false))),
        { nil: undefined, freq: 12 },
      ),
      relativeError: fc.option(factor, { nil: undefined, freq: 12 }),
      staleness: mostly<PlanFacts['staleness']>(
        fc.constant(edge.staleness),
        fc.constantFrom(undefined, { tau: 1 }, { tau: 5, maxRounds: 6 }, { maxRounds: 1 }),
      ),
    })
    .map((near): PlanFacts => {
      const [bytes, ceiling, parameters] = near.sizes;
      const privacy: PlanPrivacyFacts | undefined = near.noise && {
        ...demanded,
        noiseMultiplier: demanded.noiseMultiplier * Math.max(near.noise[0], 0.99),
        epsilonPerRound: demanded.epsilonPerRound / 2 / near.noise[1],
        delta: demanded.delta * Math.min(near.noise[2], 1.01),
        colluders: Math.max(0, demanded.colluders + near.noise[3]),
        clip: near.noise[4] ? demanded.clip : demanded.clip * near.noise[0],
      };
      return {
        ...edge,
        parameterSet: near.parameterSet,
        quorum: edge.quorum + near.quorum,
        threshold: edge.threshold + near.threshold,
        custodians: edge.custodians + near.custodians,
        signatureAlgorithms: near.algorithms,
        sealedBytes: edge.sealedBytes * Math.min(bytes, 1.01),
        rosterMaxUpdateBytes: edge.rosterMaxUpdateBytes * Math.max(ceiling, 0.99),
        trainableParameters: edge.trainableParameters * Math.min(parameters, 1.01),
        loraMode: near.loraMode,
        tensors: near.tensors,
        relativeError:
          near.relativeError && (policy.training.maxRelativeError ?? 1) * Math.min(near.relativeError, 1.01),
        staleness: near.staleness,
        privacy,
      };
    });
}

function accepts(policy: Policy, facts: PlanFacts): boolean {
  try {
    requirePlanWithinPolicy(policy, facts, 'client');
    return true;
  } catch (error) {
    if (error instanceof RefusedError) return false;
    throw error;
  }
}

/** One field made stricter, by `by` in (0, 1]: what protects grows, what is sent or spent shrinks. */
const STRICTER: Readonly<Record<string, (facts: PlanFacts, by: number) => Partial<PlanFacts>>> = {
  parameterSet: () => ({ parameterSet: 'lwe-192' }),
  quorum: ({ quorum }, by) => ({ quorum: quorum + Math.ceil(9 * by) }),
  threshold: ({ threshold, custodians }, by) => ({
    threshold: threshold + Math.ceil((custodians - threshold) * by),
  }),
  custodians: ({ threshold, custodians }, by) => ({
    custodians: custodians - Math.floor((custodians - threshold) * by),
  }),
  signatureAlgorithms: () => ({ signatureAlgorithms: ['ed25519', 'ml-dsa-65'] }),
  sealedBytes: ({ sealedBytes }, by) => ({ sealedBytes: sealedBytes * by }),
  trainableParameters: (facts, by) => ({ trainableParameters: facts.trainableParameters * by }),
  tensors: (facts) => ({ tensors: facts.tensors.slice(1) }),
  loraMode: (facts) => ({
    loraMode: 'frozen-a',
    tensors: facts.tensors.filter(({ kind }) => kind !== 'lora-a'),
  }),
  relativeError: ({ relativeError }, by) => ({
    relativeError: relativeError === undefined ? by * 1e-3 : relativeError * by,
  }),
  staleness: ({ staleness }, by) => ({
    staleness: {
      tau: (staleness?.tau ?? 4) * by,
      maxRounds: Math.floor((staleness?.maxRounds ?? 5) * by),
    },
  }),
  noiseMultiplier: noisier((privacy, by) => ({ noiseMultiplier: privacy.noiseMultiplier / by })),
  epsilonPerRound: noisier((privacy, by) => ({ epsilonPerRound: privacy.epsilonPerRound * by })),
  delta: noisier((privacy, by) => ({ delta: privacy.delta * by })),
  colluders: noisier((privacy, by) => ({ colluders: privacy.colluders + Math.ceil(3 * by) })),
  mechanism: noisier(() => ({ mechanism: 'discrete-gaussian' })),
};

function noisier(change: (privacy: PlanPrivacyFacts, by: number) => Partial<PlanPrivacyFacts>) {
  return ({ privacy }: PlanFacts, by: number): Partial<PlanFacts> =>
    privacy === undefined ? {} : { privacy: { ...privacy, ...change(privacy, by) } };
}

/** One setting of a policy made more permissive. */
const LOOSER: Readonly<Record<string, (policy: Policy) => void>> = {
  securityLevel: (policy) => (policy.encryption.securityLevel = 128),
  quorum: (policy) => (policy.encryption.quorum = 3),
  signatureAlgorithms: (policy) => (policy.encryption.signatureAlgorithms = ['ed25519']),
  maxUpdateBytes: (policy) => (policy.envelope.maxUpdateBytes = 5_000_000),
  maxTrainableParameters: (policy) => (policy.envelope.maxTrainableParameters = 1_000_000_000),
  peftTypes: (policy) => policy.envelope.peftTypes.push('IA3'),
  allowedModules: (policy) => policy.envelope.allowedModules.push('**'),
  fullLayers: (policy) => policy.envelope.fullLayers.push('**'),
  mechanism: (policy) => (policy.privacy.mechanism = 'none'),
  noiseMultiplier: (policy) => (policy.privacy.noiseMultiplier = 0.1),
  delta: (policy) => (policy.privacy.delta = 0.01),
  colluders: (policy) => (policy.privacy.colluders = 0),
  clip: (policy) => (policy.privacy.clip = undefined),
  hardStop: (policy) => (policy.privacy.hardStop = false),
  loraMode: (policy) => (policy.training.loraMode = 'average'),
  maxRelativeError: (policy) => (policy.training.maxRelativeError = undefined),
  stalenessTau: (policy) => (policy.training.stalenessTau = undefined),
  maxStalenessRounds: (policy) => (policy.training.maxStalenessRounds = undefined),
};

describe('stricter and weaker', () => {
  const near = policies.chain((policy) => factsNear(policy).map((facts) => ({ policy, facts })));
  const share = fc.double({ min: 0.01, max: 1, noNaN: true });

  it('plans near the bounds are accepted often and refused often, or the next two would say nothing', () => {
    const sample = fc.sample(near, { numRuns: 2000, seed: 7 });
    const accepted = sample.filter(({ policy, facts }) => accepts(policy, facts)).length;
    expect(accepted).to.be.within(400, 1600);
  });

  it('a plan that a policy accepts is accepted when any of its fields is made stricter', () => {
    fc.assert(
      fc.property(near, fc.constantFrom(...Object.keys(STRICTER)), share, ({ policy, facts }, field, by) => {
        fc.pre(accepts(policy, facts));
        const stricter = { ...facts, ...STRICTER[field]?.(facts, by) };
        expect(accepts(policy, stricter), `${field} by ${by}`).to.equal(true);
      }),
      { numRuns: 300, maxSkipsPerRun: 1000 },
    );
  });

  it('a plan that a policy accepts is accepted by one that is looser in any setting', () => {
    fc.assert(
      fc.property(near, fc.constantFrom(...Object.keys(LOOSER)), ({ policy, facts }, setting) => {
        fc.pre(accepts(policy, facts));
        const looser = structuredClone(policy);
        LOOSER[setting]?.(looser);
        expect(accepts(looser, facts), setting).to.equal(true);
      }),
      { numRuns: 300, maxSkipsPerRun: 1000 },
    );
  });
});
