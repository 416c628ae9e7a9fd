/** The owner's part: from an aggregate and the custodians' answers to the average adapter. */
import { loadPeftAdapter, writePeftAdapter } from '../adapter/peft.js';
import type { TensorToWrite } from '../adapter/safetensors-writer.js';
import { countElements } from '../adapter/tensor-info.js';
import { type OpenedAnswer, readAnswer, requireAnswers } from '../custody/answers.js';
import { checkAggregate, contributions, type TrustedAggregate } from '../custody/contributions.js';
import type { SecretBytes } from '../custody/secret-bytes.js';
import { recoverSecretSum } from '../custody/secret-sum.js';
import type { TrustedPlan } from '../custody/trusted-plan.js';
import { checkUpdate } from '../custody/trusted-update.js';
import { ParameterError, RefusedError, VerificationError } from '../errors.js';
import { type OpenReport, openAggregate } from '../lwe/open.js';
import { type Container, openContainer } from '../package/reader.js';
import type { SigningKey } from '../package/signing-key.js';
import { dequantizeMean, uniformScale } from '../pipeline/uniform.js';
import { requirePlannedAdapter } from './adapter-delta.js';
import { CiphertextSum } from './ciphertext-sum.js';
import type { RoundRecords } from './round-records.js';

export interface OwnerIdentity {
  readonly signing: SigningKey;
  readonly kem: SecretBytes;
  readonly records: RoundRecords;
}

export interface OpenOptions {
  readonly owner: OwnerIdentity;
  readonly plan: TrustedPlan;
  readonly aggregate: string;
  /** Paths of `.tgs` files, at least the threshold. */
  readonly answers: readonly string[];
  /** The adapter that the average is added to; absent to write the bare average. */
  readonly base?: string;
  /** The signed updates, to recompute the sum from; without them integrity against the aggregator is not claimed. */
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
}

/**
 * Recomputes the sum from the signed updates.
 *
 * @throws VerificationError `open.sum-shifted`; RefusedError `open.updates-missing`, `open.update-not-in-set`
 */
async function verifySum(
  plan: TrustedPlan,
  aggregate: TrustedAggregate,
  ciphertext: Uint8Array,
  paths: readonly string[],
): Promise<void> {
  const missing = new Map(aggregate.updates.map((update) => [Buffer.from(update).toString('hex'), update]));
  const sum = new CiphertextSum(plan.arithmetic);
  for (const path of paths) {
    const update = await openContainer(path, 'update', { maxFileBytes: plan.roster.body.maxUpdateBytes });
    try {
      await checkUpdate(update, plan);
      if (!missing.delete(Buffer.from(update.fingerprint).toString('hex'))) {
        throw new RefusedError(
          'open.update-not-in-set',
          `${path} is not in the aggregate's set, or was given twice. Pass exactly the updates that were summed.`,
        );
      }
      await update.readSectionInto('ciphertext', sum.slot());
      await sum.accept();
    } finally {
      await update.close();
    }
  }
  if (missing.size > 0) {
    throw new RefusedError(
      'open.updates-missing',
      `${missing.size} of the ${aggregate.updates.length} updates in the sum were not given. Pass all of them to --verify.`,
    );
  }
  if (Buffer.compare(await sum.finish(), ciphertext) !== 0) {
    throw new VerificationError(
      'open.sum-shifted',
      'The aggregate is not the sum of its signed updates: the aggregator changed it. Do not use it; sum the updates yourself.',
    );
  }
}

async function readAnswers(options: OpenOptions, set: Uint8Array): Promise<OpenedAnswer[]> {
  const answers: OpenedAnswer[] = [];
  for (const path of options.answers) {
    answers.push(await readAnswer(path, options.plan, set, options.owner.kem));
  }
  requireAnswers(answers, options.plan.body.threshold);
  return answers;
}

async function writeAverage(options: OpenOptions, sums: Int32Array, contributors: number): Promise<void> {
  const { plan } = options;
  const base = options.base === undefined ? undefined : await loadPeftAdapter(options.base);
  try {
    if (base !== undefined) requirePlannedAdapter(plan.body, base, options.base as string);
    const configBytes = base?.configBytes ?? plan.body.adapterConfig;
    if (configBytes === undefined) {
      throw new ParameterError(
        'open.no-config',
        'The plan carries no adapter configuration. Pass a base adapter, whose configuration is then written.',
      );
    }
    let offset = 0;
    const tensors: TensorToWrite[] = [];
    for (const { name, shape, dtype, clip } of plan.body.tensors) {
      const count = countElements(name, shape);
      const from = offset;
      offset += count;
      const scale = uniformScale(clip, plan.body.lwe.bits);
      tensors.push({
        name,
        shape,
        dtype,
        data: async (out) => {
          dequantizeMean(sums, from, count, scale, contributors, out);
          if (base === undefined) return;
          const start = new Float32Array(count);
          await base.tensors.readTensor(name, start);
          for (let i = 0; i < count; i += 1) out[i] = (out[i] as number) + (start[i] as number);
        },
      });
    }
    await writePeftAdapter(options.out, { configBytes, tensors });
  } finally {
    await base?.tensors.close();
  }
}

async function openSum(
  options: OpenOptions,
  container: Container<'aggregate'>,
): Promise<{ readonly sums: Int32Array; readonly report: OpenedRoundReport }> {
  const { plan, owner } = options;
  const aggregate = await checkAggregate(container, plan);
  await owner.records.requireOpenable(plan.fingerprint, aggregate.set);
  // The owner relies on nobody for who is in the sum: it checks every signed header itself.
  for await (const contribution of contributions(container, plan)) void contribution;
  const answers = await readAnswers(options, aggregate.set);
  const ciphertext = await container.readSection('ciphertext');
  if (options.verify !== undefined) await verifySum(plan, aggregate, ciphertext, options.verify);
  const contributors = aggregate.updates.length;
  const sums = new Int32Array(plan.arithmetic.valueCount);
  const { sum, opened } = await recoverSecretSum(plan.body, answers, contributors, (secretSum) =>
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
    ...opened,
    contributors,
    answers: answers.length,
    disagreeing: sum.disagreeing,
    verified: options.verify !== undefined,
  };
  return { sums, report };
}

/**
 * Opens a round and writes the average as a PEFT adapter. Nothing is written before every check has passed.
 *
 * @throws VerificationError `open.*`, `container.*`, `hpke.open-failed`
 * @throws RefusedError `open.*`, `answer.*`, `aggregate.*`, `update.*`, `roster.*`
 */
export async function openRound(options: OpenOptions): Promise<OpenedRoundReport> {
  const container = await openContainer(options.aggregate, 'aggregate');
  try {
    const { sums, report } = await openSum(options, container);
    await writeAverage(options, sums, report.contributors);
    return report;
  } finally {
    await container.close();
  }
}
