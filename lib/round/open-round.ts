/** The owner's part: from an aggregate and the custodians' answers to the average adapter. */
import { loadPeftAdapter, writePeftAdapter } from '../adapter/peft.js';
import type { TensorToWrite } from '../adapter/safetensors-writer.js';
import { type OpenedAnswer, readAnswer, requireAnswers } from '../custody/answers.js';
import { checkAggregate, contributions, type TrustedAggregate } from '../custody/contributions.js';
import type { SecretBytes } from '../custody/secret-bytes.js';
import { recoverSecretSum } from '../custody/secret-sum.js';
import type { TrustedPlan } from '../custody/trusted-plan.js';
import { checkUpdate } from '../custody/trusted-update.js';
import { ParameterError, RefusedError, VerificationError } from '../errors.js';
import { type OpenReport, openAggregate } from '../lwe/open.js';
import type { CloseBody } from '../package/messages/close.js';
import { type Container, openContainer } from '../package/reader.js';
import type { SigningKey } from '../package/signing-key.js';
import { containerBytes, encodeContainer } from '../package/writer.js';
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
      const count = shape.reduce((a, b) => a * b, 1);
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
  await requireNotClosed(owner.records, plan, aggregate);
  await owner.records.requireSameSet(plan.fingerprint, aggregate.set);
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
  await owner.records.recordOpened({
    plan: plan.fingerprint,
    set: aggregate.set,
    updates: aggregate.updates,
    ledgerHeads: answers.map(({ custodian, ledgerHead }) => ({ custodian, head: ledgerHead })),
    openedAtMs: Date.now(),
  });
  // A close record that was written meanwhile counts: it may have released the clients' deltas.
  await requireNotClosed(owner.records, plan, aggregate);
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

/** @throws RefusedError `open.round-closed` where the close record does not list this set */
async function requireNotClosed(
  records: RoundRecords,
  plan: TrustedPlan,
  aggregate: TrustedAggregate,
): Promise<void> {
  const record = await records.closed(plan.fingerprint);
  if (record === undefined) return;
  const close = await openContainer(record, 'close');
  const opened = close.body.opened;
  const same =
    opened.length === aggregate.updates.length &&
    opened.every((update, i) => Buffer.compare(update, aggregate.updates[i] as Uint8Array) === 0);
  if (!same) {
    throw new RefusedError(
      'open.round-closed',
      `Round ${plan.body.round} was closed ${opened.length === 0 ? 'with none opened' : 'with another set'}; its clients may ` +
        'have sealed their deltas again. Opening it now could give one of them away.',
    );
  }
}

/**
 * Ends a round with a signed close record: the updates that were opened, or none and why. The first record of a plan is
 * the one that counts; closing again gives it back, byte for byte.
 *
 * @throws RefusedError `close.another-set` where the round opened another set than this aggregate's
 */
export async function closeRound(
  owner: OwnerIdentity,
  plan: TrustedPlan,
  aggregatePath: string | undefined,
  reason: string | undefined,
): Promise<{ readonly record: Uint8Array; readonly body: CloseBody }> {
  const earlier = await owner.records.closed(plan.fingerprint);
  if (earlier !== undefined) return { record: earlier, body: (await openContainer(earlier, 'close')).body };
  const opened = await owner.records.opened(plan.fingerprint);
  let set = opened?.set;
  if (aggregatePath !== undefined) {
    const container = await openContainer(aggregatePath, 'aggregate');
    try {
      const aggregate = await checkAggregate(container, plan);
      if (set !== undefined && Buffer.compare(set, aggregate.set) !== 0) {
        throw new RefusedError(
          'close.another-set',
          'The round opened another set than this aggregate holds. Pass the aggregate that was opened.',
        );
      }
      set = aggregate.set;
    } finally {
      await container.close();
    }
  }
  const { fleet, policy, cohort, round } = plan.body;
  const container = await encodeContainer({
    kind: 'close',
    body: {
      fleet,
      policy,
      cohort,
      round,
      plan: plan.fingerprint,
      opened: opened === undefined ? [] : [...opened.updates],
      ...(set !== undefined && { set }),
      ...(opened === undefined && { reason: reason ?? 'the round was closed before it was opened' }),
    },
    sections: [],
    signer: owner.signing,
  });
  const record = await owner.records.recordClosed(plan.fingerprint, containerBytes(container));
  return { record, body: (await openContainer(record, 'close')).body };
}
