/** What a round plan is held against a policy by: plain numbers and names, taken from a plan by its reader. */
import type { ParameterSetName } from '../lwe/parameters.js';
import type { PolicySignatureAlgorithm } from './profiles/encryption.js';
import type { PrivacyMechanism } from './profiles/privacy.js';
import type { LoraMode } from './profiles/training.js';

/** A tensor that the round sends. */
export interface PlanTensorFacts {
  readonly name: string;
  /** In the base model's own naming, as patterns see it. */
  readonly module: string;
  /** A factor of the adapter, or a full tensor that rides along. */
  readonly kind: 'lora-a' | 'lora-b' | 'full';
}

export interface PlanPrivacyFacts {
  readonly mechanism: PrivacyMechanism;
  /** Of the noise in the sum that honest contributors of a quorum make, over the clip norm: after rounding. */
  readonly noiseMultiplier: number;
  /** What one round costs at `delta`. */
  readonly epsilonPerRound: number;
  readonly delta: number;
  /** L2 norm that a client's update is clipped to. */
  readonly clip: number;
  /** Contributors of a quorum whose noise was not counted. */
  readonly colluders: number;
}

export interface PlanFacts {
  readonly parameterSet: ParameterSetName;
  readonly quorum: number;
  /** Custodians who must agree: t of n. */
  readonly threshold: number;
  /** n. */
  readonly custodians: number;
  /** What every message of the round must be signed with. */
  readonly signatureAlgorithms: readonly PolicySignatureAlgorithm[];
  /** One update on the wire: ciphertext and sealed shares. */
  readonly sealedBytes: number;
  /** The owner's ceiling, from the roster. */
  readonly rosterMaxUpdateBytes: number;
  readonly trainableParameters: number;
  /** As adapter_config.json spells it: LORA. */
  readonly peftType: string;
  readonly tensors: readonly PlanTensorFacts[];
  readonly loraMode: LoraMode;
  readonly bits: { readonly min: number; readonly max: number };
  /** Share of all coordinates that the round sends, in (0, 1]. */
  readonly keepRatio: number;
  /** Predicted L2 error of what is sent, relative to its norm; absent where nothing was predicted. */
  readonly relativeError?: number | undefined;
  /** How deltas are discounted that missed rounds; absent where they are not. */
  readonly staleness?:
    | { readonly tau?: number | undefined; readonly maxRounds?: number | undefined }
    | undefined;
  /** Absent where the round adds no noise. */
  readonly privacy?: PlanPrivacyFacts | undefined;
}
