/** A plan that each preset's policy accepts, to be changed by tests. */
import type { PlanFacts, PlanPrivacyFacts } from '../../../lib/policy/bounds.js';
import type { Policy } from '../../../lib/policy/policy.js';

/** Noise that meets a policy's privacy profile exactly. */
export function noiseAsDemanded({ privacy }: Policy): PlanPrivacyFacts {
  return {
    mechanism: 'skellam',
    noiseMultiplier: privacy.noiseMultiplier,
    epsilonPerRound: privacy.epsilon,
    delta: privacy.delta,
    clip: privacy.clip ?? 1,
    colluders: privacy.colluders,
  };
}

/** A plan at the very edge of what `policy` accepts, for everybody who may hold it. */
export function factsAtTheEdge(policy: Policy): PlanFacts {
  const { encryption, envelope, training } = policy;
  return {
    parameterSet: encryption.securityLevel === 192 ? 'lwe-192' : 'lwe-128',
    quorum: encryption.quorum,
    threshold: encryption.custodianThreshold,
    custodians: encryption.custodians,
    signatureAlgorithms: encryption.signatureAlgorithms,
    sealedBytes: envelope.maxUpdateBytes,
    rosterMaxUpdateBytes: envelope.maxUpdateBytes,
    trainableParameters: envelope.maxTrainableParameters,
    peftType: 'LORA',
    tensors: [
      { name: 'm.q_proj.lora_A.weight', module: 'm.q_proj', kind: 'lora-a' },
      { name: 'm.q_proj.lora_B.weight', module: 'm.q_proj', kind: 'lora-b' },
    ],
    loraMode: training.loraMode,
    bits: training.bits,
    keepRatio: training.keepRatio === 'auto' ? 1 : training.keepRatio,
    ...(training.maxRelativeError === undefined ? {} : { relativeError: training.maxRelativeError }),
    ...((training.stalenessTau !== undefined || training.maxStalenessRounds !== undefined) && {
      staleness: { tau: training.stalenessTau, maxRounds: training.maxStalenessRounds },
    }),
    ...(policy.privacy.mechanism === 'none' ? {} : { privacy: noiseAsDemanded(policy) }),
  };
}
