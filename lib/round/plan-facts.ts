/** What a policy is held against, taken from a plan. */
import { parseAdapterConfig } from '../adapter/peft-config.js';
import { countElements } from '../adapter/tensor-info.js';
import { classifyTensor } from '../adapter/tensor-roles.js';
import type { TrustedRoster } from '../custody/roster.js';
import { sharesSectionBytes } from '../custody/sharing.js';
import { effectiveNoiseMultiplier } from '../custody/trusted-plan.js';
import type { PlanArithmetic } from '../lwe/plan.js';
import type { PlanBody } from '../package/messages/plan.js';
import { type PolicyHolder, requirePlanWithinPolicy } from '../policy/bounds.js';
import type { PlanFacts } from '../policy/plan-facts.js';
import type { Policy } from '../policy/policy.js';
import { roundEpsilon } from './round-privacy.js';

interface PlanToJudge {
  readonly body: PlanBody;
  readonly arithmetic: PlanArithmetic;
  readonly roster: TrustedRoster;
}

/** Share of the sent tensors' coordinates that a round sends. */
export function keepRatioOf({ tensors }: Pick<PlanBody, 'tensors'>): number {
  const elements = tensors.reduce((sum, { name, shape }) => sum + countElements(name, shape), 0);
  return tensors.reduce((sum, { kept }) => sum + kept, 0) / elements;
}

/** @param peftTypes those whose configurations are understood */
export function planFacts(
  { body, arithmetic, roster }: PlanToJudge,
  peftTypes: readonly string[],
  relativeError?: number,
): PlanFacts {
  const { privacy } = body;
  const bits = body.tensors.map((tensor) => tensor.bits);
  return {
    parameterSet: body.parameterSet,
    quorum: body.quorum,
    threshold: body.threshold,
    custodians: body.custodians,
    signatureAlgorithms: roster.body.signatureAlgorithms,
    sealedBytes: arithmetic.ciphertextBytes + sharesSectionBytes(body),
    rosterMaxUpdateBytes: roster.body.maxUpdateBytes,
    trainableParameters: body.tensors.reduce((sum, { name, shape }) => sum + countElements(name, shape), 0),
    peftType:
      body.adapterConfig === undefined
        ? 'LORA'
        : parseAdapterConfig(body.adapterConfig, "The plan's adapter_config.json", peftTypes).peft_type,
    tensors: body.tensors.map(({ name }) => ({ name, ...classifyTensor(name) })),
    loraMode: body.loraMode,
    bits: { min: Math.min(...bits), max: Math.max(...bits) },
    keepRatio: keepRatioOf(body),
    ...(relativeError !== undefined && { relativeError }),
    staleness: body.staleness,
    ...(privacy !== undefined && {
      privacy: {
        mechanism: privacy.mechanism,
        noiseMultiplier: effectiveNoiseMultiplier(privacy, body.quorum),
        epsilonPerRound: roundEpsilon(privacy, arithmetic.valueCount, body.quorum),
        delta: privacy.delta,
        clip: body.clip,
        colluders: privacy.colluders,
      },
    }),
  };
}

/**
 * Refuses a plan that is weaker than the policy of someone who acts on it. How large its error will be is for the
 * coordinator to predict, from energies that it sees: a plan does not say it, and nobody else can hold it to that.
 *
 * @throws RefusedError `policy.*`
 */
export function requirePlanAllowed(
  policy: Policy,
  plan: PlanToJudge,
  who: Exclude<PolicyHolder, 'coordinator'>,
): void {
  const { maxRelativeError: _, ...training } = policy.training;
  requirePlanWithinPolicy({ ...policy, training }, planFacts(plan, policy.envelope.peftTypes), who);
}
