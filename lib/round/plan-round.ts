/** The coordinator's part: a signed plan for one round, from an adapter like those to be sent. */
import { randomBytes } from 'node:crypto';
import { adapterSchema, adapterSchemaFingerprint } from '../adapter/adapter-schema.js';
import { loadPeftAdapter, type PeftAdapter } from '../adapter/peft.js';
import { countElements } from '../adapter/tensor-info.js';
import type { TrustedRoster } from '../custody/roster.js';
import { checkPlan } from '../custody/trusted-plan.js';
import { ParameterError } from '../errors.js';
import type { ParameterSetName } from '../lwe/parameters.js';
import { type PlanArithmetic, planArithmetic } from '../lwe/plan.js';
import { MAX_ADAPTER_CONFIG_BYTES, type PlanBody, type PlanTensor } from '../package/messages/plan.js';

/** How far a tensor's clip bound lies above the largest value seen: what a round may drift before it saturates. */
const CLIP_HEADROOM = 1.5;

export interface PlanOptions {
  readonly roster: TrustedRoster;
  /** An adapter with the tensors that will be sent. */
  readonly like: string;
  /** Where clients will send differences to a base: its clip bounds come from `like` minus this. */
  readonly base?: string;
  /** One clip bound for every tensor, in place of bounds from `like`. */
  readonly clip?: number;
  readonly bits: number;
  readonly maxClients: number;
  readonly quorum: number;
  readonly round: number;
  readonly policy: string;
  readonly cohort: string;
  readonly parameterSet: ParameterSetName;
  /** The custodians' newest ledger heads that the owner saw. */
  readonly ledgerHeads?: PlanBody['ledgerHeads'];
  /** Milliseconds since 1970 after which clients do not seal any more. */
  readonly deadline?: number;
}

export interface PlannedRound {
  readonly body: PlanBody;
  readonly arithmetic: PlanArithmetic;
}

async function largestMagnitudes(like: PeftAdapter, base: PeftAdapter | undefined): Promise<number[]> {
  const magnitudes: number[] = [];
  for (const name of like.tensors.names) {
    const { elementCount } = like.tensors.info(name);
    const values = new Float32Array(elementCount);
    await like.tensors.readTensor(name, values);
    const start = new Float32Array(elementCount);
    if (base !== undefined) await base.tensors.readTensor(name, start);
    let largest = 0;
    for (let i = 0; i < elementCount; i += 1) {
      largest = Math.max(largest, Math.abs((values[i] as number) - (start[i] as number)));
    }
    magnitudes.push(largest);
  }
  return magnitudes;
}

async function planTensors(options: PlanOptions, like: PeftAdapter): Promise<PlanTensor[]> {
  const schema = adapterSchema(like.tensors);
  const withClip = (clips: readonly number[]): PlanTensor[] =>
    schema.map(({ name, shape, dtype }, i) => ({ name, shape: [...shape], dtype, clip: clips[i] as number }));
  if (options.clip !== undefined) return withClip(schema.map(() => options.clip as number));
  const base = options.base === undefined ? undefined : await loadPeftAdapter(options.base);
  try {
    const magnitudes = await largestMagnitudes(like, base);
    const overall = Math.max(...magnitudes);
    if (!(overall > 0)) {
      throw new ParameterError(
        'plan.no-clip',
        `Every value of ${options.like} is zero, which says nothing about the size of an update. Give a clip bound.`,
      );
    }
    // A factor that training has not touched yet (LoRA's B starts at zero) takes the adapter's own bound.
    return withClip(magnitudes.map((largest) => (largest > 0 ? largest : overall) * CLIP_HEADROOM));
  } finally {
    await base?.tensors.close();
  }
}

/**
 * Plans a round: the arithmetic, the public seed, and a scale for each tensor. It is checked as a client will check it.
 *
 * @throws ParameterError `plan.does-not-fit`, `plan.argument-out-of-range`, `plan.no-clip`
 * @throws RefusedError `plan.outside-roster`, `plan.too-large`
 */
export async function planRound(options: PlanOptions): Promise<PlannedRound> {
  const { roster } = options;
  const like = await loadPeftAdapter(options.like);
  try {
    const tensors = await planTensors(options, like);
    const valueCount = tensors.reduce((sum, { name, shape }) => sum + countElements(name, shape), 0);
    const arithmetic = planArithmetic({
      parameterSet: options.parameterSet,
      bits: options.bits,
      maxClients: options.maxClients,
      valueCount,
    });
    const baseModel = like.config.base_model_name_or_path;
    const { bits, maxClients, fieldBits, fold, plaintextBits, wireBits, ringElements, z } = arithmetic;
    const body: PlanBody = {
      fleet: roster.body.fleet,
      policy: options.policy,
      cohort: options.cohort,
      round: options.round,
      rosterVersion: roster.body.version,
      rosterFingerprint: roster.fingerprint,
      parameterSet: options.parameterSet,
      seed: new Uint8Array(randomBytes(32)),
      keyEpoch: (roster.body.custodians[0] as { epoch: number }).epoch,
      threshold: roster.body.threshold,
      custodians: roster.body.custodians.length,
      quorum: options.quorum,
      lwe: { bits, maxClients, fieldBits, fold, plaintextBits, wireBits, valueCount, ringElements, z },
      tensors,
      adapterSchema: adapterSchemaFingerprint(adapterSchema(like.tensors)),
      ledgerHeads: [...(options.ledgerHeads ?? [])],
      ...(like.configBytes.length <= MAX_ADAPTER_CONFIG_BYTES && {
        adapterConfig: new Uint8Array(like.configBytes),
      }),
      ...(typeof baseModel === 'string' && baseModel !== '' && { baseModel }),
      ...(options.deadline !== undefined && { deadline: options.deadline }),
    };
    checkPlan(body, roster);
    return { body, arithmetic };
  } finally {
    await like.tensors.close();
  }
}
