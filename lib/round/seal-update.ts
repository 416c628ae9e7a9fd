/** The client's part: an adapter becomes one signed, encrypted update. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { countElements, DTYPE_SIZE_BYTES } from '../adapter/tensor-info.js';
import { classifyTensor } from '../adapter/tensor-roles.js';
import type { TrainingFacts } from '../adapter/training-metadata.js';
import type { ClientState, StoredUpdate } from '../custody/client-state.js';
import { requireClient, requireOwnKey } from '../custody/roster.js';
import { sealMessage } from '../custody/seal.js';
import type { SecretBytes } from '../custody/secret-bytes.js';
import { sharesSectionBytes } from '../custody/sharing.js';
import { effectiveNoiseMultiplier, type TrustedPlan } from '../custody/trusted-plan.js';
import { isTooStale, stalenessDiscount } from '../custody/weights.js';
import { ParameterError, RefusedError } from '../errors.js';
import { writeFileAtomically } from '../files.js';
import {
  LEAST_WEIGHT,
  UPDATE_SCHEMA_VERSION,
  type UpdateBody,
  WEIGHT_ONE,
} from '../package/messages/update.js';
import { bucketSafety } from '../package/safety-buckets.js';
import type { SigningKey } from '../package/signing-key.js';
import { encodeContainer, writeEncodedContainer } from '../package/writer.js';
import {
  type EncodedDelta,
  encodeDelta,
  type ReadTensor,
  sentCoordinates,
  weightOf,
} from '../pipeline/delta-encoder.js';
import type { ResidualReader } from '../pipeline/residual/residual-reader.js';
import type { ResidualStore } from '../pipeline/residual/residual-store.js';
import type { StagedChange } from '../pipeline/residual/staged-change.js';
import { tensorPlaces } from '../pipeline/value-layout.js';
import { requireTrainingWithinPolicy } from '../policy/bounds.js';
import type { Policy } from '../policy/policy.js';
import type { SpendOutcome, SpendRequest } from '../privacy/privacy-ledger.js';
import { AdapterDelta } from './adapter-delta.js';
import { keepRatioOf, requirePlanAllowed } from './plan-facts.js';
import { residualShape, settleResiduals } from './residuals.js';
import { addPlannedNoise, type PrivacyAccount, requireLikelyRounding, spendOf } from './round-privacy.js';

export interface ClientIdentity {
  readonly id: string;
  readonly signing: SigningKey;
  readonly prf: SecretBytes;
  readonly state: ClientState;
  /** What this site allows. */
  readonly policy: Policy;
  /** Error feedback; without it, what a round loses is lost. */
  readonly residuals?: ResidualStore | undefined;
  /** Needed where a plan adds noise. */
  readonly privacy?: PrivacyAccount | undefined;
}

export interface SealOptions {
  readonly client: ClientIdentity;
  readonly plan: TrustedPlan;
  /** The trained adapter's directory. */
  readonly adapter: string;
  /** The adapter that training started from; absent where `adapter` itself is the delta. */
  readonly base?: string;
  /** What is known of the training; goes into the header in the clear. */
  readonly training?: Pick<TrainingFacts, 'training' | 'safety' | 'experts' | 'compatibility'> | undefined;
  /** Milliseconds since 1970; now unless told. */
  readonly now?: number;
}

export interface SealReport {
  readonly values: number;
  readonly saturatedValues: number;
  readonly originalBytes: number;
  /** Ciphertext and sealed shares; the header comes on top. */
  readonly sealedBytes: number;
  readonly keepRatio: number;
  /** L2 norm of what the round's choice of coordinates kept of delta and residual, before the clip. */
  readonly keptNorm: number;
  /** What it was multiplied by to meet the clip, at most 1. */
  readonly clipFactor: number;
  /** Whether what earlier rounds left over is in it. */
  readonly residualUsed: boolean;
  /** In units of 2^-16. */
  readonly weights: readonly number[];
  /** Rounds since the one that this delta was first sealed for; absent where the plan does not ask for it. */
  readonly staleness?: number | undefined;
  /** What the site has spent when this round is counted; absent without noise. */
  readonly epsilonSpent?: number | undefined;
  readonly overBudget?: boolean | undefined;
}

export interface SealedUpdateFile extends StoredUpdate {
  /** Whether this delta had been sealed under this plan before: the same file then, byte for byte. */
  readonly replayed: boolean;
  /** Absent for a file that was sealed before. */
  readonly report?: SealReport | undefined;
}

/** @throws RefusedError `plan.deadline-passed` */
function requireInTime({ plan, now }: SealOptions): void {
  const { deadline } = plan.body;
  if (deadline !== undefined && (now ?? Date.now()) > deadline) {
    throw new RefusedError(
      'plan.deadline-passed',
      `The round's deadline was ${new Date(deadline).toISOString()}. Seal for the next round.`,
    );
  }
}

/** Everything that can be refused without reading the adapter. */
function requireAllowed(options: SealOptions): SpendRequest | undefined {
  const { client, plan, training } = options;
  const listed = requireClient(plan.roster, client.id);
  requireOwnKey(listed.keys, client.signing.publicKeys, `client "${client.id}"`);
  requirePlanAllowed(client.policy, plan, 'client');
  requireTrainingWithinPolicy(client.policy, training?.safety ?? {});
  weightsOf(options);
  if (plan.body.privacy === undefined) return undefined;
  requireLikelyRounding(plan.body);
  if (client.privacy === undefined) {
    throw new ParameterError(
      'privacy.no-ledger',
      `The plan adds noise, and "${client.id}" has no privacy ledger to count it in. Open one, or create it.`,
    );
  }
  const spend = spendOf(plan, client.id, client.privacy);
  if (spend !== undefined) client.privacy.ledger.preview(spend);
  return spend;
}

/** How many rounds late the delta is, where the plan asks for it. */
function stalenessOf({ client, plan }: SealOptions, deltaDigest: Uint8Array): number | undefined {
  return plan.body.staleness && client.state.roundsLate(plan.body, deltaDigest);
}

/**
 * What the client's values are multiplied by: how much was trained, how much of it touched each expert, and how late the
 * delta is.
 */
function weightsOf({ plan, training }: SealOptions, roundsLate = 0): number[] {
  const { experts, samplesForFullWeight } = plan.body;
  const samples = training?.training?.samples;
  if (samplesForFullWeight !== undefined && samples === undefined) {
    throw new RefusedError(
      'seal.samples-unknown',
      `The plan weighs clients by their training samples (full weight from ${samplesForFullWeight}), and their number is not ` +
        'known. Pass it: --training FILE with {"training": {"samples": N}}.',
    );
  }
  const amount =
    samplesForFullWeight === undefined ? 1 : Math.min(1, (samples as number) / samplesForFullWeight);
  const unknown = Object.keys(training?.experts ?? {}).find(
    (name) => experts !== undefined && !experts.some((expert) => expert.name === name),
  );
  if (unknown !== undefined) {
    throw new RefusedError(
      'seal.unknown-expert',
      `The training metadata declares a share for "${unknown}"; the plan's experts are ` +
        `${(experts ?? []).map(({ name }) => name).join(', ')}.`,
    );
  }
  const shares = experts?.map(({ name, weight }) => Math.min(1, training?.experts?.[name] ?? weight)) ?? [1];
  // What would count for less than the least weight does not count at all.
  const countedAt = (discount: number): number[] =>
    shares
      .map((share) => Math.round(share * amount * discount * WEIGHT_ONE))
      .map((weight) => (weight < LEAST_WEIGHT ? 0 : weight));
  const isNothing = (weights: readonly number[]): boolean => weights.every((weight) => weight === 0);
  const weights = countedAt(stalenessDiscount(plan.body, roundsLate));
  if (isTooStale(plan.body, roundsLate) || (isNothing(weights) && !isNothing(countedAt(1)))) {
    throw new RefusedError(
      'seal.too-stale',
      `This delta was first sealed ${roundsLate} rounds ago, and ` +
        (isTooStale(plan.body, roundsLate)
          ? `the plan takes what is at most ${plan.body.staleness?.maxRounds} rounds late. `
          : `at exp(-rounds / ${plan.body.staleness?.tau}) it weighs less than 1/16 now. `) +
        'Train anew, from the adapter that was released last.',
    );
  }
  if (isNothing(weights)) {
    throw new RefusedError(
      'seal.no-weight',
      'The declared training gives every module a weight below 1/16: there is nothing to send. Take part once more is trained.',
    );
  }
  return weights;
}

function originalBytes({ body }: TrustedPlan): number {
  return body.tensors.reduce(
    (sum, { name, shape, dtype }) => sum + countElements(name, shape) * DTYPE_SIZE_BYTES[dtype],
    0,
  );
}

function readerOf(reader: ResidualReader | undefined): ReadTensor | undefined {
  return reader && ((place, out) => reader.read(place.firstElement, out));
}

interface Encoding {
  readonly encoded: EncodedDelta;
  readonly residualUsed: boolean;
  readonly weights: readonly number[];
  readonly staleness: number | undefined;
}

async function encode(
  options: SealOptions,
  delta: AdapterDelta,
  deltaDigest: Uint8Array,
  residual: boolean,
): Promise<Encoding> {
  const { plan, client } = options;
  const { policy, schemaKey, valueCount } = residualShape(plan.body);
  const reader = residual ? await client.residuals?.openCommitted(policy, schemaKey, valueCount) : undefined;
  try {
    const staleness = stalenessOf(options, deltaDigest);
    const weights = weightsOf(options, staleness);
    const encoded = await client.prf.use((prfKey) =>
      encodeDelta({
        plan: plan.body,
        planFingerprint: plan.fingerprint,
        prfKey,
        weights,
        readDelta: ({ tensor }, out) => delta.read(tensor.name, out),
        readResidual: readerOf(reader),
      }),
    );
    return { encoded, residualUsed: reader !== undefined, weights, staleness };
  } finally {
    await reader?.close();
  }
}

function reportOf(
  { plan }: SealOptions,
  { encoded, residualUsed, weights, staleness }: Encoding,
  spent: SpendOutcome | undefined,
): SealReport {
  return {
    values: encoded.values.length,
    saturatedValues: encoded.saturatedValues,
    originalBytes: originalBytes(plan),
    sealedBytes: plan.arithmetic.ciphertextBytes + sharesSectionBytes(plan.body),
    keepRatio: keepRatioOf(plan.body),
    keptNorm: encoded.keptNorm,
    clipFactor: encoded.clipFactor,
    residualUsed,
    weights,
    ...(staleness !== undefined && { staleness }),
    ...(spent !== undefined && { epsilonSpent: spent.epsilonSpent, overBudget: spent.overBudget }),
  };
}

/** What sealing would do, without doing it: nothing is claimed, spent, encrypted or written. */
export async function dryRunSeal(options: SealOptions): Promise<SealReport> {
  const { client, plan } = options;
  const spend = requireAllowed(options);
  requireInTime(options);
  const delta = await AdapterDelta.open(
    plan.body,
    options.adapter,
    options.base,
    client.policy.envelope.peftTypes,
  );
  try {
    const deltaDigest = await client.prf.use((prfKey) => delta.digest(plan.body, prfKey));
    const encoding = await encode(options, delta, deltaDigest, true);
    encoding.encoded.values.fill(0);
    const spent = spend && client.privacy?.ledger.preview(spend);
    return reportOf(options, encoding, spent);
  } finally {
    await delta.close();
  }
}

/** What the delta was more than what is sent: tensor by tensor, on the disk before the update is. */
async function stageLoss(
  options: SealOptions,
  delta: AdapterDelta,
  { encoded, weights }: Encoding,
): Promise<StagedChange | undefined> {
  const { plan, client } = options;
  return client.residuals?.stageChange(residualShape(plan.body), async (sink) => {
    for (const place of tensorPlaces(plan.body)) {
      const lost = new Float32Array(place.elementCount);
      // A module with weight 0 is not sent, by choice: its delta is dropped, and what was left before stays.
      if (weightOf(place, weights) > 0) {
        const sent = new Float32Array(place.elementCount);
        await delta.read(place.tensor.name, lost);
        await sentCoordinates(
          { plan: plan.body, planFingerprint: plan.fingerprint, weights },
          place,
          encoded.values,
          sent,
        );
        for (let i = 0; i < lost.length; i += 1) lost[i] = (lost[i] as number) - (sent[i] as number);
        sent.fill(0);
      }
      await sink.append(lost);
      lost.fill(0);
    }
  });
}

function updateBody(
  options: SealOptions,
  report: SealReport,
  timingsMs: { readonly compress: number; readonly encrypt: number },
): UpdateBody {
  const { plan, client, training } = options;
  const { fleet, policy, cohort, round, privacy } = plan.body;
  const modules = [...new Set(plan.body.tensors.map(({ name }) => classifyTensor(name).module))].sort();
  const weighted =
    plan.body.experts !== undefined ||
    plan.body.samplesForFullWeight !== undefined ||
    plan.body.staleness !== undefined;
  // What saturates depends on the delta, and the header is in the clear: bucketed, and with noise not told at all.
  const statistics = bucketSafety({
    ...training?.safety,
    ...(privacy === undefined && { saturatedValues: report.saturatedValues }),
  });
  return {
    schema: UPDATE_SCHEMA_VERSION,
    fleet,
    policy,
    cohort,
    round,
    plan: plan.fingerprint,
    client: client.id,
    parameterSet: plan.body.parameterSet,
    keyEpoch: plan.body.keyEpoch,
    adapterSchema: plan.body.adapterSchema,
    ...(plan.body.baseModel !== undefined && { baseModel: plan.body.baseModel }),
    targets: { modules, adapterIds: [] },
    ...(training?.training !== undefined && { training: training.training }),
    safety: statistics,
    compression: {
      originalBytes: report.originalBytes,
      sealedBytes: report.sealedBytes,
      bits: Math.max(...plan.body.tensors.map(({ bits }) => bits)),
      keepRatio: report.keepRatio,
    },
    privacy: {
      clip: plan.body.clip,
      ...(privacy !== undefined && {
        mechanism: privacy.mechanism,
        noiseMultiplier: effectiveNoiseMultiplier(privacy, plan.body.quorum),
        ...(report.epsilonSpent !== undefined &&
          Number.isFinite(report.epsilonSpent) && { epsilonSpent: report.epsilonSpent }),
      }),
    },
    ...(weighted && { weights: [...report.weights] }),
    ...(report.staleness !== undefined && { staleness: report.staleness }),
    ...(training?.experts !== undefined && { experts: training.experts }),
    ...(training?.compatibility !== undefined && { compatibility: training.compatibility }),
    timingsMs: {
      ...(training?.training?.durationMs !== undefined && { train: training.training.durationMs }),
      // How long a private round's rounding took tells how often it exceeded the sensitivity.
      ...(privacy === undefined && { compress: timingsMs.compress }),
      encrypt: timingsMs.encrypt,
    },
  };
}

/** Encodes, encrypts, signs and stores what was claimed. */
async function sealClaimed(
  options: SealOptions,
  delta: AdapterDelta,
  deltaDigest: Uint8Array,
  spent: SpendOutcome | undefined,
): Promise<SealedUpdateFile> {
  const { client, plan } = options;
  const started = performance.now();
  const encoding = await encode(options, delta, deltaDigest, client.state.holdsResidual(plan.fingerprint));
  const { values } = encoding.encoded;
  try {
    const loss = await stageLoss(options, delta, encoding);
    try {
      const report = reportOf(options, encoding, spent);
      await client.prf.use((prfKey) => addPlannedNoise(plan.body, plan.fingerprint, prfKey, values));
      const compressed = performance.now();
      const sealed = await client.prf.use((prfKey) =>
        sealMessage(plan, client.id, client.signing.keyId, prfKey, values),
      );
      const container = await encodeContainer({
        kind: 'update',
        body: updateBody(options, report, {
          compress: compressed - started,
          encrypt: performance.now() - compressed,
        }),
        sections: [
          { name: 'ciphertext', data: sealed.ciphertext },
          { name: 'shares', data: sealed.shares },
        ],
        signer: client.signing,
      });
      const update = container.envelope.fingerprint;
      await writeEncodedContainer(client.state.sealedPath(update), container, { mode: 0o600 });
      await loss?.publish(update);
      const stored = await client.state.recordSealed({ deltaDigest, plan: plan.fingerprint, update });
      if (Buffer.compare(stored.update, update) !== 0) await client.residuals?.discard(update);
      return { ...stored, report, replayed: false };
    } catch (error) {
      await loss?.discard();
      throw error;
    }
  } finally {
    values.fill(0);
  }
}

/**
 * Seals an adapter's delta under a plan. The same delta under the same plan gives the stored file; a delta that was
 * sealed for another round is refused unless a close record released it. Plan, policy and privacy budget are checked
 * before the adapter is read; the budget is spent before anything is encrypted.
 *
 * @throws RefusedError `client.*`, `adapter.*`, `plan.*`, `policy.*`, `privacy.*`, `roster.*`, `seal.*`
 * @throws FormatError `pipeline.*`; VerificationError `residual.corrupt`
 */
export async function sealUpdate(options: SealOptions): Promise<SealedUpdateFile> {
  const { client, plan } = options;
  if (client.residuals !== undefined) await settleResiduals(client.residuals, client.state);
  const spend = requireAllowed(options);
  const delta = await AdapterDelta.open(
    plan.body,
    options.adapter,
    options.base,
    client.policy.envelope.peftTypes,
  );
  try {
    const deltaDigest = await client.prf.use((prfKey) => delta.digest(plan.body, prfKey));
    const earlier = await client.state.storedUpdate(plan.fingerprint, deltaDigest);
    if (earlier !== undefined) return { ...earlier, replayed: true };
    requireInTime(options);
    // Before the delta is claimed and the budget is spent.
    weightsOf(options, stalenessOf(options, deltaDigest));
    const { fleet, policy, cohort, round } = plan.body;
    const claim = await client.state.claim({
      fleet,
      policy,
      cohort,
      round,
      deltaDigest,
      plan: plan.fingerprint,
      residual: client.residuals !== undefined,
    });
    if (claim !== 'new') return { ...claim, replayed: true };
    // Another process may have closed the round that had the residual since this one looked: what that sent comes off first.
    if (client.residuals !== undefined) await settleResiduals(client.residuals, client.state);
    const spent = spend && client.privacy?.ledger.spend(spend);
    return await sealClaimed(options, delta, deltaDigest, spent);
  } finally {
    await delta.close();
  }
}

/** Copies a sealed update to where it is wanted, whole or not at all. */
export async function copyUpdate(stored: string, out: string): Promise<number> {
  await writeFileAtomically(out, async (file) => {
    for await (const piece of createReadStream(stored, { highWaterMark: 1 << 20 })) {
      await file.writeFile(piece as Uint8Array);
    }
  });
  return (await stat(out)).size;
}
