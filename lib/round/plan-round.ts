/** The coordinator's part: a signed plan for one round, from an adapter like those to be sent. */
import { randomBytes } from 'node:crypto';
import { adapterSchema, adapterSchemaFingerprint, type TensorSchema } from '../adapter/adapter-schema.js';
import { frozenDigest, selectTensors } from '../adapter/lora-modes.js';
import { loadPeftAdapter, type PeftAdapter } from '../adapter/peft.js';
import { countElements } from '../adapter/tensor-info.js';
import { classifyTensor } from '../adapter/tensor-roles.js';
import type { TrustedRoster } from '../custody/roster.js';
import { sharesSectionBytes } from '../custody/sharing.js';
import { checkPlan, headerAllowanceBytes } from '../custody/trusted-plan.js';
import { ParameterError, RefusedError } from '../errors.js';
import type { ParameterSetName } from '../lwe/parameters.js';
import {
  MAX_SEGMENTS,
  type PlanArithmetic,
  PlanDoesNotFitError,
  planArithmetic,
  segmentArithmetic,
} from '../lwe/plan.js';
import {
  MAX_ADAPTER_CONFIG_BYTES,
  type PlanBody,
  type PlanPrivacy,
  type PlanStaleness,
  type PlanTensor,
} from '../package/messages/plan.js';
import type {
  CompressionExpectation,
  CompressionRequest,
} from '../pipeline/allocation/compression-request.js';
import { planCompression } from '../pipeline/allocation/plan-compression.js';
import { commonScale } from '../pipeline/allocation/scales.js';
import { requirePlanWithinPolicy } from '../policy/bounds.js';
import { assignExperts, type Expert } from '../policy/experts/expert-set.js';
import { detectExperts } from '../policy/experts/shipped.js';
import { policyFingerprints } from '../policy/fingerprint.js';
import { compilePatterns } from '../policy/patterns.js';
import type { Policy } from '../policy/policy.js';
import { roundingBound } from '../privacy/sensitivity.js';
import { planFacts } from './plan-facts.js';
import { publicEnergies, type TensorEnergy } from './public-energies.js';

/** Blocks of 4096 coordinates: what a first-level cache holds. */
const ROTATION_BLOCK_LOG2 = 12;

export interface PlanOptions {
  readonly roster: TrustedRoster;
  /** An adapter with the tensors that will be sent; its energies are taken for those of an update. */
  readonly like: string;
  /** Where clients will send differences to a base: energies come from `like` minus this. */
  readonly base?: string;
  readonly policy: Policy;
  /** L2 norm to clip to, in place of the policy's or of what the steady state needs. */
  readonly clip?: number;
  readonly maxClients: number;
  /** In place of the policy's; it cannot be lower. */
  readonly quorum?: number;
  readonly round: number;
  readonly policyName: string;
  readonly cohort: string;
  readonly parameterSet: ParameterSetName;
  /** Whether modules are told apart by the expert set that fits their names, where the policy lists no experts. */
  readonly detectExperts?: boolean;
  /** The custodians' newest ledger heads that the owner saw. */
  readonly ledgerHeads?: PlanBody['ledgerHeads'];
  /** Milliseconds since 1970 after which clients do not seal any more. */
  readonly deadline?: number;
}

export interface PlannedRound {
  readonly body: PlanBody;
  readonly arithmetic: PlanArithmetic;
  /** Predicted from public energies. */
  readonly expected: CompressionExpectation;
  /** Norm of the delta that the energies come from. */
  readonly referenceNorm: number;
}

/** The noise that a private round needs: how much depends on how many values are sent, not on the clip. */
function noiseFor(options: PlanOptions, quorum: number, dimension: number): PlanPrivacy | undefined {
  const { mechanism, noiseMultiplier, colluders, delta } = options.policy.privacy;
  if (mechanism === 'none') return undefined;
  if (colluders >= quorum) {
    throw new ParameterError(
      'plan.colluders',
      `${colluders} colluders of a quorum of ${quorum} leave nobody to add noise. Raise the quorum.`,
    );
  }
  // In units of the clip: quanta are what sensitivity and variance are counted in.
  const { scale } = commonScale({ clip: 1, dimension });
  const { l2Squared } = roundingBound({ clip: 1, scale, dimension });
  const clientVariance = Math.ceil((noiseMultiplier ** 2 * l2Squared) / (quorum - colluders));
  return { mechanism, clientVariance, l2Squared, colluders, delta };
}

function segmentsOf(valuesByBits: ReadonlyMap<number, number>): { bits: number; valueCount: number }[] {
  return [...valuesByBits]
    .filter(([, valueCount]) => valueCount > 0)
    .map(([bits, valueCount]) => ({ bits, valueCount }))
    .sort((a, b) => a.bits - b.bits);
}

/** What a plan says of its arithmetic: everyone recomputes the rest. */
export function plannedSegments({ segments }: PlanArithmetic): PlanBody['lwe']['segments'] {
  return segments.map(({ bits, valueCount, fieldBits, fold, plaintextBits, wireBits, ringElements }) => ({
    bits,
    valueCount,
    fieldBits,
    fold,
    plaintextBits,
    wireBits,
    ringElements,
  }));
}

interface Arranged {
  readonly experts: readonly Expert[] | undefined;
  readonly expertOf: readonly number[];
}

function arrange(options: PlanOptions, sent: readonly TensorSchema[]): Arranged {
  const modules = sent.map(({ name }) => classifyTensor(name).module);
  const experts =
    options.policy.experts.length > 0
      ? options.policy.experts
      : options.detectExperts === true
        ? detectExperts(modules)?.experts
        : undefined;
  if (experts === undefined) {
    if (options.detectExperts === true) {
      throw new ParameterError(
        'plan.no-experts',
        'The modules belong to none of the policies whose experts are known. List the experts in the policy file.',
      );
    }
    return { experts: undefined, expertOf: [] };
  }
  const assigned = assignExperts(experts, modules);
  // Experts without a module would be weights of nothing.
  const used = assigned.experts.filter((_, i) => assigned.expertOf.includes(i));
  return {
    experts: used,
    expertOf: assigned.expertOf.map((i) => used.indexOf(assigned.experts[i] as Expert)),
  };
}

function compressionRequest(
  options: PlanOptions,
  quorum: number,
  sent: readonly TensorSchema[],
  energies: ReadonlyMap<string, TensorEnergy>,
): CompressionRequest {
  const { roster, policy, maxClients, parameterSet } = options;
  const { keepRatio, keepRatios, rotation, maxRelativeError } = policy.training;
  const bits = fittingBits(options, sent);
  const overrides = keepRatios.map((entry) => ({
    matches: compilePatterns(entry.modules),
    keepRatio: entry.keepRatio,
  }));
  const sharing = {
    parameterSet,
    threshold: roster.body.threshold,
    custodians: roster.body.custodians.length,
  };
  const sharesBytes = sharesSectionBytes(sharing);
  // The ciphertext's length is what is asked for: digests for all that the limit admits.
  const roomWithin = (limitBytes: number, setting: string): number =>
    roomFor(limitBytes, sharesBytes + headerAllowanceBytes(sent, [limitBytes, sharesBytes]), setting);
  const isPrivate = policy.privacy.mechanism !== 'none';
  const clip = options.clip ?? (isPrivate ? policy.privacy.clip : undefined);
  const adaptive = keepRatio === 'auto' || policy.training.bits.min !== policy.training.bits.max;
  return {
    tensors: sent.map(({ name, shape }) => {
      const { module } = classifyTensor(name);
      const override = overrides.find(({ matches }) => matches(module));
      return {
        name,
        values: countElements(name, shape),
        ...(energies.get(name) as TensorEnergy),
        ...(override !== undefined && { keepRatio: override.keepRatio }),
      };
    }),
    keepRatio,
    bits: bits.min === bits.max ? bits.min : bits,
    clients: maxClients,
    ...(clip !== undefined && { clip }),
    rotation,
    maxBytes: roomWithin(
      Math.min(roster.body.maxUpdateBytes, policy.envelope.maxUpdateBytes),
      "the ceiling (envelope.maxUpdateBytes, or the roster's)",
    ),
    ...(adaptive && {
      targetBytes: roomWithin(policy.envelope.targetUpdateBytes, 'envelope.targetUpdateBytes'),
    }),
    ...(maxRelativeError !== undefined && { maxRelativeError }),
    sizeBytes: (valuesByBits) => {
      const segments = segmentsOf(valuesByBits);
      const dimension = segments.reduce((sum, { valueCount }) => sum + valueCount, 0);
      const noise = noiseFor(options, quorum, dimension);
      return planArithmetic({
        parameterSet,
        maxClients,
        segments,
        ...(noise !== undefined && { noiseVariance: noise.clientVariance }),
      }).ciphertextBytes;
    },
    ...(isPrivate && { privacy: {} }),
  };
}

/** Bytes for the ciphertext of an update, of `limitBytes` for all of it. */
function roomFor(limitBytes: number, overheadBytes: number, setting: string): number {
  if (limitBytes > overheadBytes) return limitBytes - overheadBytes;
  throw new RefusedError(
    'plan.too-large',
    `Sealed shares and header alone take up to ${overheadBytes} bytes; ${setting} is ${limitBytes}. Raise it.`,
  );
}

/**
 * The widths that fit so many clients, of those that the policy admits. A plan for which none fits is told so before anything
 * is allocated by size. (A private round has no choice of widths: its own arithmetic says what does not fit.)
 */
function fittingBits(
  { parameterSet, maxClients, policy }: PlanOptions,
  sent: readonly TensorSchema[],
): Policy['training']['bits'] {
  const { min, max } = policy.training.bits;
  const valueCount = sent.reduce((sum, { name, shape }) => sum + countElements(name, shape), 0);
  for (let bits = max; ; bits -= 1) {
    try {
      segmentArithmetic({ parameterSet, maxClients, bits, valueCount, segments: MAX_SEGMENTS });
      return policy.privacy.mechanism === 'none' ? { min, max: bits } : { min, max };
    } catch (error) {
      if (!(error instanceof PlanDoesNotFitError) || bits === min) throw error;
    }
  }
}

/** A quorum that cannot be met costs every client its delta and its privacy budget, for nothing. */
function requireReachable({ body }: TrustedRoster, quorum: number): void {
  const active = body.clients.filter(({ status }) => status === 'active').length;
  if (quorum <= active) return;
  throw new RefusedError(
    'plan.outside-roster',
    `The quorum is ${quorum}, and the roster (version ${body.version}) has ${active} active clients: the round could not be ` +
      'opened. Lower the quorum (--quorum, encryption.quorum), or enrol more clients.',
  );
}

async function planFrom(
  options: PlanOptions,
  like: PeftAdapter,
  base: PeftAdapter | undefined,
): Promise<PlannedRound> {
  const { roster, policy } = options;
  const quorum = options.quorum ?? policy.encryption.quorum;
  requireReachable(roster, quorum);
  const schema = adapterSchema(like.tensors);
  const { sent, frozen } = selectTensors(schema, {
    mode: policy.training.loraMode,
    fullLayers: compilePatterns(policy.envelope.fullLayers),
    allowedModules: compilePatterns(policy.envelope.allowedModules),
  });
  const energies = await publicEnergies(like, base, sent);
  const compression = planCompression(compressionRequest(options, quorum, sent, energies));
  const { experts, expertOf } = arrange(options, sent);
  const tensors: PlanTensor[] = sent.map(({ name, shape, dtype }, i) => ({
    name,
    shape: [...shape],
    dtype,
    bits: compression.bits[i] as number,
    kept: compression.keeps[i] as number,
    scale: compression.scales[i] as number,
    ...(experts !== undefined && { expert: expertOf[i] as number }),
  }));
  const valuesByBits = new Map<number, number>();
  for (const { bits, kept } of tensors) valuesByBits.set(bits, (valuesByBits.get(bits) ?? 0) + kept);
  const dimension = tensors.reduce((sum, { kept }) => sum + kept, 0);
  const noise = noiseFor(options, quorum, dimension);
  const arithmetic = planArithmetic({
    parameterSet: options.parameterSet,
    maxClients: options.maxClients,
    ...(noise !== undefined && { noiseVariance: noise.clientVariance }),
    segments: segmentsOf(valuesByBits),
  });
  const baseModel = like.config.base_model_name_or_path;
  const { samplesForFullWeight, stalenessTau, maxStalenessRounds } = policy.training;
  const staleness: PlanStaleness = {
    ...(stalenessTau !== undefined && { tau: stalenessTau }),
    ...(maxStalenessRounds !== undefined && { maxRounds: maxStalenessRounds }),
  };
  const prints = policyFingerprints(policy);
  const body: PlanBody = {
    fleet: roster.body.fleet,
    policy: options.policyName,
    cohort: options.cohort,
    round: options.round,
    rosterVersion: roster.body.version,
    rosterFingerprint: roster.fingerprint,
    parameterSet: options.parameterSet,
    seed: new Uint8Array(randomBytes(32)),
    keyEpoch: (roster.body.custodians[0] as { epoch: number }).epoch,
    threshold: roster.body.threshold,
    custodians: roster.body.custodians.length,
    quorum,
    lwe: {
      maxClients: options.maxClients,
      segments: plannedSegments(arithmetic),
    },
    loraMode: policy.training.loraMode,
    tensors,
    ...(policy.training.loraMode === 'frozen-a' && {
      frozen: {
        tensors: frozen.map(({ name, shape, dtype }) => ({ name, shape: [...shape], dtype })),
        digest: await frozenDigest(like.tensors, frozen),
      },
    }),
    rotationBlockLog2: policy.training.rotation ? ROTATION_BLOCK_LOG2 : 0,
    clip: compression.clip,
    ...(experts !== undefined && { experts: experts.map(({ name, weight }) => ({ name, weight })) }),
    ...(samplesForFullWeight !== undefined && { samplesForFullWeight }),
    ...(Object.keys(staleness).length > 0 && { staleness }),
    ...(noise !== undefined && { privacy: noise }),
    profiles: { policy: prints.policy, ...prints.sections },
    adapterSchema: adapterSchemaFingerprint(schema),
    ledgerHeads: [...(options.ledgerHeads ?? [])],
    ...(like.configBytes.length <= MAX_ADAPTER_CONFIG_BYTES && {
      adapterConfig: new Uint8Array(like.configBytes),
    }),
    ...(typeof baseModel === 'string' && baseModel !== '' && { baseModel }),
    ...(options.deadline !== undefined && { deadline: options.deadline }),
  };
  checkPlan(body, roster);
  const facts = planFacts(
    { body, arithmetic, roster },
    policy.envelope.peftTypes,
    compression.expected.relativeError,
  );
  requirePlanWithinPolicy(policy, facts, 'coordinator');
  const energy = [...energies.values()].reduce((sum, tensor) => sum + tensor.energy, 0);
  return { body, arithmetic, expected: compression.expected, referenceNorm: Math.sqrt(energy) };
}

/**
 * Plans a round: which coordinates, on which grid, at which width, with how much noise, and the public seed. It is checked
 * as a client will check it.
 *
 * @throws ParameterError `plan.does-not-fit`, `plan.argument-out-of-range`, `plan.no-energy`, `plan.size-target`,
 *   `plan.error-target`, `plan.no-experts`, `plan.colluders`
 * @throws RefusedError `plan.outside-roster`, `plan.too-large`, `plan.noise-below-floor`, `policy.*`, `adapter.*`
 */
export async function planRound(options: PlanOptions): Promise<PlannedRound> {
  const { peftTypes } = options.policy.envelope;
  const like = await loadPeftAdapter(options.like, { peftTypes });
  try {
    const base = options.base === undefined ? undefined : await loadPeftAdapter(options.base, { peftTypes });
    try {
      return await planFrom(options, like, base);
    } finally {
      await base?.tensors.close();
    }
  } finally {
    await like.tensors.close();
  }
}
