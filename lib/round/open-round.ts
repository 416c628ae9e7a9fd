/** The owner's part: from an aggregate and the custodians' answers to the average adapter. */
import { loadPeftAdapter, type PeftAdapter, writePeftAdapter } from '../adapter/peft.js';
import type { TensorToWrite } from '../adapter/safetensors-writer.js';
import { type OpenedAnswer, readAnswer, requireAnswers } from '../custody/answers.js';
import { checkAggregate, contributions } from '../custody/contributions.js';
import { describeRound } from '../custody/round-key.js';
import type { SecretBytes } from '../custody/secret-bytes.js';
import { recoverSecretSum } from '../custody/secret-sum.js';
import type { TrustedPlan } from '../custody/trusted-plan.js';
import { WeightTally, weightGroup } from '../custody/weights.js';
import { ParameterError } from '../errors.js';
import { type OpenReport, openAggregate } from '../lwe/open.js';
import { WEIGHT_ONE } from '../package/messages/update.js';
import { type Container, openContainer } from '../package/reader.js';
import type { SigningKey } from '../package/signing-key.js';
import { coordinatesOf } from '../pipeline/delta-encoder.js';
import { type TensorPlace, tensorPlaces } from '../pipeline/value-layout.js';
import type { Policy } from '../policy/policy.js';
import { requirePlannedAdapter } from './adapter-delta.js';
import { requirePlanAllowed } from './plan-facts.js';
import { roundEpsilon } from './round-privacy.js';
import type { RoundRecords } from './round-records.js';
import { verifySum } from './verify-sum.js';

export interface OwnerIdentity {
  readonly signing: SigningKey;
  /**
   * The KEM secret of the owner's key that a roster lists, to read answers with; wiped after.
   *
   * @throws RefusedError `key.*`
   */
  readonly kemKey: (publicKey: Uint8Array, what: string) => Promise<SecretBytes>;
  readonly records: RoundRecords;
  /** What the owner allows. */
  readonly policy: Policy;
}

export interface OpenOptions {
  readonly owner: OwnerIdentity;
  readonly plan: TrustedPlan;
  readonly aggregate: string;
  /** Paths of `.tgs` files, at least the threshold. */
  readonly answers: readonly string[];
  /** The adapter that the average is added to; absent to write the bare average. */
  readonly base?: string;
  /** The signed updates and partial sums, to recompute the sum from; without them integrity against the aggregator is not claimed. */
  readonly verify?: readonly string[];
  /** Directory of the adapter to write. */
  readonly out: string;
}

export interface OpenedRoundReport extends OpenReport {
  readonly contributors: number;
  readonly answers: number;
  /** Custodians whose answers do not fit: they answered wrongly, or a client dealt badly to them. */
  readonly disagreeing: readonly string[];
  readonly verified: boolean;
  /** Where it was verified: gateways that vouch for their sites' partial sums, ascending. */
  readonly gateways: readonly string[];
  /** What this sum alone costs each contributor, with the noise of those who were summed; absent without noise. */
  readonly epsilon?: number | undefined;
}

async function readAnswers(options: OpenOptions, set: Uint8Array): Promise<OpenedAnswer[]> {
  const { plan, owner } = options;
  const answers: OpenedAnswer[] = [];
  const kem = await owner.kemKey(plan.roster.body.owner.kem, describeRound(plan.body));
  try {
    for (const path of options.answers) answers.push(await readAnswer(path, plan, set, kem));
  } finally {
    kem.wipe();
  }
  requireAnswers(answers, plan.body.threshold);
  return answers;
}

/** What the sums are of, and by how much they were weighted. */
interface OpenedSums {
  readonly sums: Int32Array;
  /** Sums of the contributors' weights, in units of 2^-16, by expert. */
  readonly weights: readonly number[];
}

/** What the average is written onto. */
interface Target {
  readonly base: PeftAdapter | undefined;
  readonly configBytes: Uint8Array;
}

/** Opened before anything is: a round whose average cannot be written must not be on record as opened. */
async function openTarget({ plan, owner, base: directory }: OpenOptions): Promise<Target> {
  const { peftTypes } = owner.policy.envelope;
  if (directory === undefined) {
    if (plan.body.frozen !== undefined) {
      throw new ParameterError(
        'open.frozen-needs-base',
        "The round sends LoRA's B alone; A is that of the base adapter. Pass it: --base ADAPTER_DIR.",
      );
    }
    if (plan.body.adapterConfig === undefined) {
      throw new ParameterError(
        'open.no-config',
        'The plan carries no adapter configuration. Pass a base adapter, whose configuration is then written.',
      );
    }
    return { base: undefined, configBytes: plan.body.adapterConfig };
  }
  const base = await loadPeftAdapter(directory, { peftTypes });
  try {
    await requirePlannedAdapter(plan.body, base, directory, peftTypes);
  } catch (error) {
    await base.tensors.close();
    throw error;
  }
  return { base, configBytes: base.configBytes };
}

/** The frozen tensors of a round are the base's. */
function frozenTensors({ plan }: OpenOptions, { base }: Target): TensorToWrite[] {
  return (plan.body.frozen?.tensors ?? []).map(({ name, shape, dtype }) => ({
    name,
    shape,
    dtype,
    data: (out) => (base as PeftAdapter).tensors.readTensor(name, out),
  }));
}

async function averageTensor(
  { plan }: OpenOptions,
  { sums, weights }: OpenedSums,
  place: TensorPlace,
  out: Float32Array,
): Promise<void> {
  const weight = (weights[weightGroup(place.tensor)] as number) / WEIGHT_ONE;
  // Nobody has trained it: there is nothing to average, and it stays as it was.
  if (weight === 0) out.fill(0);
  else {
    const request = { plan: plan.body, planFingerprint: plan.fingerprint };
    await coordinatesOf(request, place, sums, place.tensor.scale / weight, out);
  }
}

async function writeAverage(options: OpenOptions, opened: OpenedSums, target: Target): Promise<void> {
  const { plan, owner } = options;
  const { base, configBytes } = target;
  const averaged = tensorPlaces(plan.body).map((place): TensorToWrite => {
    const { name, shape, dtype } = place.tensor;
    return {
      name,
      shape,
      dtype,
      data: async (out) => {
        await averageTensor(options, opened, place, out);
        if (base === undefined) return;
        const start = new Float32Array(place.elementCount);
        await base.tensors.readTensor(name, start);
        for (let i = 0; i < out.length; i += 1) out[i] = (out[i] as number) + (start[i] as number);
      },
    };
  });
  const tensors = [...averaged, ...frozenTensors(options, target)];
  await writePeftAdapter(
    options.out,
    { configBytes, tensors },
    { peftTypes: owner.policy.envelope.peftTypes },
  );
}

async function openSum(
  options: OpenOptions,
  container: Container<'aggregate'>,
): Promise<{ readonly opened: OpenedSums; readonly report: OpenedRoundReport }> {
  const { plan, owner } = options;
  const aggregate = await checkAggregate(container, plan);
  await owner.records.requireOpenable(plan.fingerprint, aggregate.set);
  // The owner relies on nobody for who is in the sum: it checks every signed header itself.
  const tally = new WeightTally(plan.body);
  for await (const contribution of contributions(container, plan, tally)) void contribution;
  const answers = await readAnswers(options, aggregate.set);
  const ciphertext = await container.readSection('ciphertext');
  const { verify } = options;
  const gateways = verify === undefined ? [] : await verifySum(plan, aggregate, ciphertext, verify);
  const contributors = aggregate.updates.length;
  const sums = new Int32Array(plan.arithmetic.valueCount);
  const { sum, opened: decoded } = await recoverSecretSum(plan.body, answers, contributors, (secretSum) =>
    openAggregate({
      plan: plan.arithmetic,
      seed: plan.body.seed,
      planFingerprint: plan.fingerprint,
      aggregate: ciphertext,
      secretSum,
      contributors,
      values: sums,
    }),
  );
  // Refused where the round was closed meanwhile: that released the clients' deltas.
  await owner.records.recordOpened({
    plan: plan.fingerprint,
    set: aggregate.set,
    updates: aggregate.updates,
    ledgerHeads: answers.map(({ custodian, ledgerHead }) => ({ custodian, head: ledgerHead })),
    openedAtMs: Date.now(),
  });
  const report = {
    ...decoded,
    contributors,
    answers: answers.length,
    disagreeing: sum.disagreeing,
    verified: verify !== undefined,
    gateways,
    ...(plan.body.privacy !== undefined && {
      epsilon: roundEpsilon(plan.body.privacy, plan.arithmetic.valueCount, contributors),
    }),
  };
  return { opened: { sums, weights: tally.sums() }, report };
}

/**
 * Opens a round and writes the average as a PEFT adapter. Nothing is written before every check has passed.
 *
 * @throws VerificationError `open.*`, `container.*`, `hpke.open-failed`
 * @throws RefusedError `open.*`, `policy.*`, `weights.*`, `answer.*`, `aggregate.*`, `update.*`, `roster.*`
 */
export async function openRound(options: OpenOptions): Promise<OpenedRoundReport> {
  const { owner, plan } = options;
  const container = await openContainer(options.aggregate, 'aggregate');
  try {
    requirePlanAllowed(owner.policy, plan, 'owner');
    const target = await openTarget(options);
    try {
      const { opened, report } = await openSum(options, container);
      await writeAverage(options, opened, target);
      opened.sums.fill(0);
      return report;
    } finally {
      await target.base?.tensors.close();
    }
  } finally {
    await container.close();
  }
}
