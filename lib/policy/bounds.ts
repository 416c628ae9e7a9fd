/**
 * Holding what a round does against a policy. docs/policies.md, "What is enforced where", has the rules in words.
 *
 * Every comparison is written so that NaN fails it.
 */
import { RefusedError } from '../errors.js';
import { compilePatterns } from './patterns.js';
import type { PlanFacts } from './plan-facts.js';
import type { Policy } from './policy.js';
import { securityLevelOf } from './profiles/encryption.js';

export type { PlanFacts, PlanPrivacyFacts, PlanTensorFacts } from './plan-facts.js';

/** Whose policy it is. A coordinator's also says how to plan, beyond what it permits. */
export type PolicyHolder = 'client' | 'gateway' | 'aggregator' | 'owner' | 'coordinator';

/** Raises a refusal: what the plan says, what the policy's setting demands, what to plan instead. */
type Refuse = (code: string, is: string, field: string, demands: string, instead: string) => never;

function refusalsOf(who: PolicyHolder): Refuse {
  return (code, is, field, demands, instead) => {
    const plan = who === 'coordinator' ? `Plan ${instead}` : `Ask the coordinator to plan ${instead}`;
    throw new RefusedError(
      `policy.${code}`,
      `The plan ${is}; the ${who}'s policy ${demands} (${field}). ${plan}, or change the setting.`,
    );
  };
}

/**
 * Refuses a plan that is weaker than the policy: one that discloses more, protects less, or costs more.
 *
 * @throws RefusedError `policy.security-level`, `policy.quorum`, `policy.threshold`, `policy.custodians`,
 *   `policy.signature-algorithms`, `policy.update-bytes`, `policy.roster-ceiling`, `policy.trainable-parameters`,
 *   `policy.peft-type`, `policy.full-layer`, `policy.module`, `policy.no-noise`, `policy.noise-multiplier`,
 *   `policy.delta`, `policy.colluders`, `policy.clip`, `policy.round-epsilon`, `policy.lora-mode`,
 *   `policy.frozen-factor`, `policy.staleness`, `policy.relative-error`; for a coordinator also `policy.bits`,
 *   `policy.keep-ratio`
 */
export function requirePlanWithinPolicy(policy: Policy, facts: PlanFacts, who: PolicyHolder): void {
  const refuse = refusalsOf(who);
  requireEncryption(policy, facts, refuse);
  requireEnvelope(policy, facts, refuse);
  requireModules(policy, facts, refuse);
  requirePrivacy(policy, facts, refuse);
  requireQuality(policy, facts, refuse);
  if (who === 'coordinator') requirePlannedAsWritten(policy, facts, refuse);
}

function requireEncryption({ encryption }: Policy, facts: PlanFacts, refuse: Refuse): void {
  const level = securityLevelOf(facts.parameterSet);
  if (!(level >= encryption.securityLevel)) {
    refuse(
      'security-level',
      `uses ${facts.parameterSet}, of ${level} bits`,
      'encryption.securityLevel',
      `demands ${encryption.securityLevel}`,
      'with lwe-192',
    );
  }
  if (!(facts.quorum >= encryption.quorum)) {
    refuse(
      'quorum',
      `has a quorum of ${facts.quorum}`,
      'encryption.quorum',
      `demands at least ${encryption.quorum}`,
      `with a quorum of ${encryption.quorum}`,
    );
  }
  const { custodians, custodianThreshold } = encryption;
  if (!(facts.threshold >= custodianThreshold)) {
    refuse(
      'threshold',
      `opens with ${facts.threshold} custodians`,
      'encryption.custodianThreshold',
      `demands at least ${custodianThreshold}`,
      'under a roster with a higher threshold',
    );
  }
  // Two groups that open a round share 2t - n custodians at least; so many but one may lie (docs/security.md).
  const shared = 2 * facts.threshold - facts.custodians;
  const demanded = 2 * custodianThreshold - custodians;
  if (!(shared >= demanded)) {
    refuse(
      'custodians',
      `needs ${facts.threshold} of ${facts.custodians} custodians, so that two groups may share only ${shared}`,
      'encryption.custodians',
      `demands ${demanded}, as ${custodianThreshold} of ${custodians} have`,
      'under a roster with fewer custodians or a higher threshold',
    );
  }
  const missing = encryption.signatureAlgorithms.filter((name) => !facts.signatureAlgorithms.includes(name));
  if (missing.length > 0) {
    refuse(
      'signature-algorithms',
      `requires signatures by ${facts.signatureAlgorithms.join(', ') || 'nothing'}`,
      'encryption.signatureAlgorithms',
      `demands ${encryption.signatureAlgorithms.join(', ')}`,
      `under a roster that requires ${missing.join(', ')} too`,
    );
  }
}

function requireEnvelope({ envelope }: Policy, facts: PlanFacts, refuse: Refuse): void {
  if (!(facts.sealedBytes <= envelope.maxUpdateBytes)) {
    refuse(
      'update-bytes',
      `makes updates of ${facts.sealedBytes} bytes`,
      'envelope.maxUpdateBytes',
      `allows ${envelope.maxUpdateBytes}`,
      'with fewer bits, a smaller keep ratio or fewer modules',
    );
  }
  // A site that goes along with more than the ordinary ceiling still leaves it to the owner to raise it.
  if (!(facts.sealedBytes <= facts.rosterMaxUpdateBytes)) {
    refuse(
      'roster-ceiling',
      `makes updates of ${facts.sealedBytes} bytes, and the owner's roster allows ${facts.rosterMaxUpdateBytes}`,
      'envelope.maxUpdateBytes',
      `allows ${envelope.maxUpdateBytes}, but only under a roster that does`,
      'for smaller updates, or have the owner raise the ceiling of the roster',
    );
  }
  if (!(facts.trainableParameters <= envelope.maxTrainableParameters)) {
    refuse(
      'trainable-parameters',
      `has ${facts.trainableParameters} trainable parameters`,
      'envelope.maxTrainableParameters',
      `allows ${envelope.maxTrainableParameters}`,
      'for an adapter of lower rank or fewer modules',
    );
  }
  if (!envelope.peftTypes.includes(facts.peftType)) {
    refuse(
      'peft-type',
      `is for adapters of type ${facts.peftType}`,
      'envelope.peftTypes',
      `allows ${envelope.peftTypes.join(', ')}`,
      'for one of these',
    );
  }
}

function requireModules({ envelope }: Policy, facts: PlanFacts, refuse: Refuse): void {
  const isAllowed = compilePatterns(envelope.allowedModules);
  const isListed = compilePatterns(envelope.fullLayers);
  for (const { name, module, kind } of facts.tensors) {
    if (kind === 'full' && !isListed(module)) {
      refuse(
        'full-layer',
        `sends ${JSON.stringify(name)}, a full tensor of module ${JSON.stringify(module)}`,
        'envelope.fullLayers',
        `allows those of ${envelope.fullLayers.join(', ') || 'no module'}`,
        'without it',
      );
    }
    if (kind !== 'full' && !isAllowed(module)) {
      refuse(
        'module',
        `sends ${JSON.stringify(name)}, of module ${JSON.stringify(module)}`,
        'envelope.allowedModules',
        `allows ${envelope.allowedModules.join(', ')}`,
        'without it',
      );
    }
    if (facts.loraMode === 'frozen-a' && kind === 'lora-a') {
      refuse(
        'frozen-factor',
        `says frozen-a and sends ${JSON.stringify(name)}, a factor A`,
        'training.loraMode',
        'takes frozen-a to send B only',
        'without it, or in mode average',
      );
    }
  }
}

function requirePrivacy({ privacy }: Policy, facts: PlanFacts, refuse: Refuse): void {
  // Noise on top of what the site asks for is no weakness; how much of it is then not the site's matter.
  if (privacy.mechanism === 'none') return;
  const plan = facts.privacy;
  if (plan === undefined || plan.mechanism === 'none') {
    refuse(
      'no-noise',
      'adds no noise',
      'privacy.mechanism',
      `demands ${privacy.mechanism}`,
      'with skellam or discrete-gaussian, which count as equals',
    );
  }
  if (!(plan.noiseMultiplier >= privacy.noiseMultiplier)) {
    refuse(
      'noise-multiplier',
      `has a noise multiplier of ${plan.noiseMultiplier}`,
      'privacy.noiseMultiplier',
      `demands at least ${privacy.noiseMultiplier}`,
      `with ${privacy.noiseMultiplier}`,
    );
  }
  if (!(plan.delta <= privacy.delta)) {
    refuse(
      'delta',
      `states its epsilon at a delta of ${plan.delta}`,
      'privacy.delta',
      `allows ${privacy.delta}`,
      `with ${privacy.delta}`,
    );
  }
  if (!(plan.colluders >= privacy.colluders)) {
    refuse(
      'colluders',
      `counts on all but ${plan.colluders} contributors of a quorum for their noise`,
      'privacy.colluders',
      `assumes ${privacy.colluders} dishonest ones`,
      `for ${privacy.colluders}`,
    );
  }
  // Epsilon depends on noise over clip alone, so neither a larger nor a smaller clip is weaker. But it is the unit of
  // everything that the site was set up for: what its trainer's deltas measure, and how far one client may move the
  // average. Another one is a mistake in one of the two places, and is said rather than adopted.
  if (privacy.clip !== undefined && plan.clip !== privacy.clip) {
    refuse(
      'clip',
      `clips updates to an L2 norm of ${plan.clip}`,
      'privacy.clip',
      `fixes ${privacy.clip}: another scale, on which noise and updates both differ by a factor`,
      `with ${privacy.clip}`,
    );
  }
  if (privacy.hardStop && !(plan.epsilonPerRound <= privacy.epsilon)) {
    refuse(
      'round-epsilon',
      `spends an epsilon of ${plan.epsilonPerRound} in one round`,
      'privacy.epsilon',
      `allows ${privacy.epsilon} for all rounds together`,
      'with a larger noise multiplier',
    );
  }
}

function requireQuality({ training }: Policy, facts: PlanFacts, refuse: Refuse): void {
  if (training.loraMode === 'frozen-a' && facts.loraMode !== 'frozen-a') {
    refuse(
      'lora-mode',
      `is for mode ${facts.loraMode}, which sends A as well`,
      'training.loraMode',
      'says frozen-a',
      'in mode frozen-a',
    );
  }
  requireStaleness(training, facts, refuse);
  const { maxRelativeError } = training;
  if (maxRelativeError === undefined) return;
  if (facts.relativeError === undefined || !(facts.relativeError <= maxRelativeError)) {
    refuse(
      'relative-error',
      facts.relativeError === undefined
        ? 'predicts no relative error'
        : `predicts a relative error of ${facts.relativeError}`,
      'training.maxRelativeError',
      `allows ${maxRelativeError}`,
      'with more bits or a larger keep ratio, and a prediction',
    );
  }
}

function requireStaleness(
  { stalenessTau, maxStalenessRounds }: Policy['training'],
  { staleness }: PlanFacts,
  refuse: Refuse,
): void {
  if (stalenessTau !== undefined && !(staleness?.tau !== undefined && staleness.tau <= stalenessTau)) {
    refuse(
      'staleness',
      staleness?.tau === undefined
        ? 'lets deltas that missed rounds weigh as much as new ones'
        : `lets deltas that missed rounds weigh exp(-rounds / ${staleness.tau})`,
      'training.stalenessTau',
      `allows exp(-rounds / ${stalenessTau})`,
      'with that discount',
    );
  }
  if (
    maxStalenessRounds !== undefined &&
    !(staleness?.maxRounds !== undefined && staleness.maxRounds <= maxStalenessRounds)
  ) {
    refuse(
      'staleness',
      staleness?.maxRounds === undefined
        ? 'takes deltas however late'
        : `takes deltas that are up to ${staleness.maxRounds} rounds late`,
      'training.maxStalenessRounds',
      `allows ${maxStalenessRounds}`,
      'with that bound',
    );
  }
}

function requirePlannedAsWritten({ training }: Policy, facts: PlanFacts, refuse: Refuse): void {
  if (facts.loraMode !== training.loraMode) {
    refuse(
      'lora-mode',
      `is for mode ${facts.loraMode}`,
      'training.loraMode',
      `says ${training.loraMode}`,
      `in mode ${training.loraMode}`,
    );
  }
  const { min, max } = training.bits;
  if (!(facts.bits.min >= min && facts.bits.max <= max)) {
    refuse(
      'bits',
      `has values of ${facts.bits.min} to ${facts.bits.max} bits`,
      'training.bits',
      `says ${min} to ${max}`,
      'with bits between them',
    );
  }
  if (training.keepRatio === 'auto') return;
  // What modules together send lies between the least and the most that one of them does.
  const ratios = [training.keepRatio, ...training.keepRatios.map(({ keepRatio }) => keepRatio)];
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
  // Every tensor sends whole values, and one at least.
  const rounding = facts.tensors.length / facts.trainableParameters;
  if (!(facts.keepRatio >= least - rounding && facts.keepRatio <= most + rounding)) {
    refuse(
      'keep-ratio',
      `sends ${facts.keepRatio} of the coordinates`,
      'training.keepRatio, training.keepRatios',
      `says ${least === most ? least : `${least} to ${most}`}`,
      'with that keep ratio',
    );
  }
}

/** What an update declares about its training, as far as a policy bounds it. */
export interface TrainingFacts {
  readonly gradientNormMean?: number | undefined;
  readonly gradientNormMax?: number | undefined;
}

/**
 * Refuses an update whose declared gradient norms lie outside `training.gradientNorm`. A client declares them about
 * itself: this finds runs that diverged or learnt nothing, and nobody who lies.
 *
 * @throws RefusedError `policy.gradient-norm`
 */
export function requireTrainingWithinPolicy(policy: Policy, training: TrainingFacts): void {
  const { min, max } = policy.training.gradientNorm;
  const { gradientNormMean, gradientNormMax } = training;
  const declared: [string, number | undefined][] = [
    ['mean', gradientNormMean],
    ['largest', gradientNormMax],
  ];
  for (const [which, norm] of declared) {
    if (norm === undefined || (norm >= min && norm <= max)) continue;
    throw new RefusedError(
      'policy.gradient-norm',
      `The ${which} gradient norm is declared as ${norm}; the policy allows ${min} to ${max} (training.gradientNorm). ` +
        'Look at the training run before sealing its result, or change the setting.',
    );
  }
  if (gradientNormMean !== undefined && gradientNormMax !== undefined && gradientNormMean > gradientNormMax) {
    throw new RefusedError(
      'policy.gradient-norm',
      `The mean gradient norm is declared as ${gradientNormMean}, above the largest, ${gradientNormMax}. ` +
        'Correct what the trainer reports.',
    );
  }
}
