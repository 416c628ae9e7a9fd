import { expect } from 'chai';
import { RefusedError } from '../../lib/errors.js';
import {
  type PlanFacts,
  type PlanPrivacyFacts,
  type PolicyHolder,
  requirePlanWithinPolicy,
  requireTrainingWithinPolicy,
} from '../../lib/policy/bounds.js';
import { type Policy, parsePolicy } from '../../lib/policy/policy.js';
import { POLICY_PRESET_NAMES, presetPolicy } from '../../lib/policy/presets.js';
import { expectRefusal } from '../support/refusals.js';
import { factsAtTheEdge, noiseAsDemanded } from './support/plan-facts.js';

const HOLDERS: readonly PolicyHolder[] = ['client', 'aggregator', 'owner', 'coordinator'];

/** Strict in every way that a policy can be. */
function strictPolicy(): Policy {
  const policy = presetPolicy('conservative');
  policy.envelope.allowedModules = ['m.**'];
  policy.envelope.fullLayers = ['**.lm_head'];
  policy.encryption.signatureAlgorithms = ['ed25519', 'ml-dsa-65'];
  policy.training.maxRelativeError = 0.2;
  policy.training.stalenessTau = 4;
  policy.training.maxStalenessRounds = 6;
  policy.training.bits = { min: 4, max: 6 };
  return parsePolicy(policy);
}

type Change = (facts: PlanFacts) => Partial<PlanFacts>;

const noise =
  (change: Partial<PlanPrivacyFacts>): Change =>
  ({ privacy }) => ({ privacy: { ...(privacy as PlanPrivacyFacts), ...change } });

describe('a plan held against a policy', () => {
  for (const name of POLICY_PRESET_NAMES) {
    it(`is accepted by everybody at the edge of ${name}`, () => {
      const policy = presetPolicy(name);
      for (const who of HOLDERS) requirePlanWithinPolicy(policy, factsAtTheEdge(policy), who);
    });
  }

  it('is accepted at the edge of a policy that is strict in every way', () => {
    for (const who of HOLDERS) requirePlanWithinPolicy(strictPolicy(), factsAtTheEdge(strictPolicy()), who);
  });

  const full = { name: 'm.head.weight', module: 'm.head', kind: 'full' } as const;
  // The two numbers are those that the message has to show.
  const refusals: [what: string, code: string, change: Change, shows: readonly (string | number)[]][] = [
    ['a weaker parameter set', 'policy.security-level', () => ({ parameterSet: 'lwe-128' }), [128, 192]],
    ['a lower quorum', 'policy.quorum', () => ({ quorum: 4 }), [4, 5]],
    ['a quorum that is no number', 'policy.quorum', () => ({ quorum: Number.NaN }), [5]],
    ['a lower threshold', 'policy.threshold', () => ({ threshold: 2, custodians: 3 }), [2, 3]],
    ['more custodians at the same threshold', 'policy.custodians', () => ({ custodians: 5 }), [5, 1, 2]],
    [
      'a missing signature algorithm',
      'policy.signature-algorithms',
      () => ({ signatureAlgorithms: ['ed25519'] }),
      ['ed25519', 'ml-dsa-65'],
    ],
    [
      'no signature algorithm',
      'policy.signature-algorithms',
      () => ({ signatureAlgorithms: [] }),
      ['nothing'],
    ],
    [
      'larger updates',
      'policy.update-bytes',
      () => ({ sealedBytes: 1_000_001, rosterMaxUpdateBytes: 5_000_000 }),
      [1_000_001, 1_000_000],
    ],
    [
      'updates above the ceiling of the roster',
      'policy.roster-ceiling',
      () => ({ rosterMaxUpdateBytes: 999_999 }),
      [999_999, 1_000_000],
    ],
    [
      'more parameters',
      'policy.trainable-parameters',
      () => ({ trainableParameters: 5_000_001 }),
      [5_000_001, 5_000_000],
    ],
    ['another PEFT type', 'policy.peft-type', () => ({ peftType: 'IA3' }), ['IA3', 'LORA']],
    ['another PEFT type by case', 'policy.peft-type', () => ({ peftType: 'lora' }), ['lora']],
    [
      'a full layer that is not listed',
      'policy.full-layer',
      (f) => ({ tensors: [...f.tensors, full] }),
      ['m.head', '**.lm_head'],
    ],
    [
      'a factor of a module that is not allowed',
      'policy.module',
      (f) => ({ tensors: [...f.tensors, { name: 'x.lora_B.weight', module: 'x.lm_head', kind: 'lora-b' }] }),
      ['x.lm_head', 'm.**'],
    ],
    ['no noise', 'policy.no-noise', () => ({ privacy: undefined }), ['skellam']],
    ['a mechanism called none', 'policy.no-noise', noise({ mechanism: 'none' }), ['skellam']],
    ['less noise', 'policy.noise-multiplier', noise({ noiseMultiplier: 19.999 }), [19.999, 20]],
    ['noise that is no number', 'policy.noise-multiplier', noise({ noiseMultiplier: Number.NaN }), [20]],
    ['a larger delta', 'policy.delta', noise({ delta: 2e-6 }), [2e-6, 1e-6]],
    ['fewer colluders', 'policy.colluders', noise({ colluders: 0 }), [0, 1]],
    ['a larger clip', 'policy.clip', noise({ clip: 1 }), [1, 0.5]],
    ['a larger clip with more noise', 'policy.clip', noise({ clip: 1, noiseMultiplier: 40 }), [1, 0.5]],
    ['a smaller clip', 'policy.clip', noise({ clip: 0.25 }), [0.25, 0.5]],
    ['a round beyond the budget', 'policy.round-epsilon', noise({ epsilonPerRound: 1.01 }), [1.01, 1]],
    ['an epsilon that is no number', 'policy.round-epsilon', noise({ epsilonPerRound: Number.NaN }), [1]],
    ['a factor A in a frozen-a plan', 'policy.frozen-factor', () => ({ loraMode: 'frozen-a' }), ['lora_A']],
    ['a larger error', 'policy.relative-error', () => ({ relativeError: 0.21 }), [0.21, 0.2]],
    ['no predicted error', 'policy.relative-error', () => ({ relativeError: undefined }), [0.2]],
    [
      'a weaker discount of late deltas',
      'policy.staleness',
      () => ({ staleness: { tau: 4.5, maxRounds: 6 } }),
      [4.5, 4],
    ],
    ['no discount of late deltas', 'policy.staleness', () => ({ staleness: { maxRounds: 6 } }), [4]],
    ['nothing said of late deltas', 'policy.staleness', () => ({ staleness: undefined }), [4]],
    ['later deltas', 'policy.staleness', () => ({ staleness: { tau: 4, maxRounds: 7 } }), [7, 6]],
    ['deltas however late', 'policy.staleness', () => ({ staleness: { tau: 4 } }), [6]],
  ];
  for (const [what, code, change, shows] of refusals) {
    it(`is refused for ${what}, whoever holds the policy`, async () => {
      const policy = strictPolicy();
      const facts = factsAtTheEdge(policy);
      for (const who of HOLDERS) {
        const error = await expectRefusal(code, () =>
          requirePlanWithinPolicy(policy, { ...facts, ...change(facts) }, who),
        );
        expect(error).to.be.instanceOf(RefusedError);
        expect(error.message)
          .to.include(`the ${who}'s policy`)
          .and.match(/ or change the setting\.$/);
        expect(error.message).to.match(
          who === 'coordinator' ? /\. Plan / : /\. Ask the coordinator to plan /,
        );
        for (const shown of shows) expect(error.message).to.include(String(shown));
      }
    });
  }

  it('may use either mechanism where the policy names one', () => {
    const policy = strictPolicy();
    const facts = factsAtTheEdge(policy);
    const privacy = { ...noiseAsDemanded(policy), mechanism: 'discrete-gaussian' } as const;
    requirePlanWithinPolicy(policy, { ...facts, privacy }, 'client');
  });

  it('may add noise of any kind where the policy asks for none', () => {
    const policy = presetPolicy('balanced');
    const privacy = { ...noiseAsDemanded(policy), clip: 17, noiseMultiplier: 0.01, colluders: 0, delta: 0.1 };
    requirePlanWithinPolicy(policy, { ...factsAtTheEdge(policy), privacy }, 'client');
  });

  it('may cost more than the budget in one round where there is no hard stop', () => {
    const policy = strictPolicy();
    policy.privacy.hardStop = false;
    const facts = factsAtTheEdge(policy);
    requirePlanWithinPolicy(policy, { ...facts, ...noise({ epsilonPerRound: 5 })(facts) }, 'client');
  });

  it('may carry a full layer that is listed, though its factors are not allowed', () => {
    const policy = strictPolicy();
    const facts = factsAtTheEdge(policy);
    const tensors = [
      ...facts.tensors,
      { name: 'x.lm_head.weight', module: 'x.lm_head', kind: 'full' } as const,
    ];
    requirePlanWithinPolicy(policy, { ...facts, tensors }, 'client');
  });

  it('exceeds 5 MB only where both the site and the roster of the owner go along', async () => {
    const raised = presetPolicy('balanced');
    Object.assign(raised.envelope, { maxUpdateBytes: 8_000_000, allowRaisedCeiling: true });
    const site = parsePolicy(raised);
    const ordinary = presetPolicy('balanced');
    const large = { ...factsAtTheEdge(ordinary), sealedBytes: 6_000_000 };
    requirePlanWithinPolicy(site, { ...large, rosterMaxUpdateBytes: 8_000_000 }, 'client');
    await expectRefusal('policy.roster-ceiling', () =>
      requirePlanWithinPolicy(site, { ...large, rosterMaxUpdateBytes: 5_000_000 }, 'client'),
    );
    await expectRefusal('policy.update-bytes', () =>
      requirePlanWithinPolicy(ordinary, { ...large, rosterMaxUpdateBytes: 8_000_000 }, 'client'),
    );
  });

  it('sends A nowhere that is set up for frozen-a', async () => {
    const policy = presetPolicy('balanced');
    policy.training.loraMode = 'frozen-a';
    const facts = { ...factsAtTheEdge(policy), tensors: factsAtTheEdge(policy).tensors.slice(1) };
    for (const who of HOLDERS) {
      requirePlanWithinPolicy(policy, facts, who);
      await expectRefusal('policy.lora-mode', () =>
        requirePlanWithinPolicy(policy, { ...facts, loraMode: 'average' }, who),
      );
    }
  });

  const planning: [what: string, code: string, change: Partial<PlanFacts>][] = [
    ['fewer bits', 'policy.bits', { bits: { min: 3, max: 6 } }],
    ['more bits', 'policy.bits', { bits: { min: 4, max: 7 } }],
    ['a smaller keep ratio', 'policy.keep-ratio', { keepRatio: 0.009 }],
    ['a larger keep ratio', 'policy.keep-ratio', { keepRatio: 0.011 }],
    [
      'another mode',
      'policy.lora-mode',
      { loraMode: 'frozen-a', tensors: [{ name: 'm.q.lora_B.weight', module: 'm.q', kind: 'lora-b' }] },
    ],
  ];
  for (const [what, code, change] of planning) {
    it(`with ${what} than written is refused by the coordinator's policy, and by no other`, async () => {
      const policy = strictPolicy();
      const facts = { ...factsAtTheEdge(policy), ...change };
      for (const who of HOLDERS.filter((each) => each !== 'coordinator'))
        requirePlanWithinPolicy(policy, facts, who);
      await expectRefusal(code, () => requirePlanWithinPolicy(policy, facts, 'coordinator'));
    });
  }

  it('may keep any share between those that modules have, and any at all where it is auto', async () => {
    const policy = strictPolicy();
    policy.training.keepRatios = [{ modules: ['m.q_proj'], keepRatio: 0.5 }];
    const facts = factsAtTheEdge(policy);
    for (const keepRatio of [0.01, 0.2, 0.5])
      requirePlanWithinPolicy(policy, { ...facts, keepRatio }, 'coordinator');
    for (const keepRatio of [0.005, 0.6, Number.NaN]) {
      await expectRefusal('policy.keep-ratio', () =>
        requirePlanWithinPolicy(policy, { ...facts, keepRatio }, 'coordinator'),
      );
    }
    policy.training.keepRatio = 'auto';
    requirePlanWithinPolicy(policy, { ...facts, keepRatio: 0.9 }, 'coordinator');
  });
});

describe('what an update declares about its training', () => {
  const policy = presetPolicy('balanced');

  it('may say nothing, and anything within the bounds', () => {
    for (const training of [{}, { gradientNormMean: 1e-6, gradientNormMax: 10 }, { gradientNormMax: 1 }]) {
      requireTrainingWithinPolicy(policy, training);
    }
  });

  for (const norm of [0, 0.9e-6, 10.001, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    it(`is refused with a gradient norm of ${norm}`, async () => {
      for (const field of ['gradientNormMean', 'gradientNormMax']) {
        const error = await expectRefusal('policy.gradient-norm', () =>
          requireTrainingWithinPolicy(policy, { [field]: norm }),
        );
        expect(error.message).to.include(`declared as ${norm};`);
      }
    });
  }

  it('is refused with a mean above the largest', async () => {
    await expectRefusal('policy.gradient-norm', () =>
      requireTrainingWithinPolicy(policy, { gradientNormMean: 2, gradientNormMax: 1 }),
    );
  });
});
