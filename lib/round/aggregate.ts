/** The aggregator's part: verify each update, sum those that hold, say why the others do not. */
import { basename } from 'node:path';
import { sharesSectionBytes } from '../custody/sharing.js';
import type { TrustedPlan } from '../custody/trusted-plan.js';
import { checkShares, checkUpdate } from '../custody/trusted-update.js';
import { refusalOf, type Unbalanced, updateWeights, WeightTally } from '../custody/weights.js';
import { RefusedError, TensorGuardError } from '../errors.js';
import { compareBytes } from '../package/fingerprint.js';
import type { AggregateBody, RefusedUpdate } from '../package/messages/aggregate.js';
import { type Container, openContainer } from '../package/reader.js';
import type { SigningKey } from '../package/signing-key.js';
import type { ByteSource } from '../package/source.js';
import { writeContainer } from '../package/writer.js';
import { requireTrainingWithinPolicy } from '../policy/bounds.js';
import type { Policy } from '../policy/policy.js';
import { CiphertextSum } from './ciphertext-sum.js';
import { requirePlanAllowed } from './plan-facts.js';
import { Spool, type Spooled } from './spool.js';

export interface AggregateOptions {
  readonly plan: TrustedPlan;
  /** What the aggregator allows. */
  readonly policy: Policy;
  readonly aggregatorId: string;
  readonly signing: SigningKey;
  /** Update files, in any order: paths, or what stands for them. */
  readonly updates: AsyncIterable<UpdateFile> | Iterable<UpdateFile>;
  /** Fail at the first update that must be left out. */
  readonly strict?: boolean;
  /** The aggregate to write (.tga). */
  readonly out: string;
  readonly onProgress?: (done: number) => void;
}

/** A path, or a name for messages with a way to read what it names: it may be opened more than once. */
export type UpdateFile = string | { readonly name: string; open(): Promise<ByteSource> };

interface Accepted {
  readonly client: string;
  readonly update: Uint8Array;
  readonly envelope: Spooled;
  readonly shares: Spooled;
}

export interface Aggregation {
  readonly fingerprint: Uint8Array;
  readonly sizeBytes: number;
  readonly accepted: number;
  readonly refused: readonly RefusedUpdate[];
}

/** One line without control characters, as an aggregate carries it. */
function oneLine(text: string, length: number): string {
  return text.replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\ufeff]+/gu, ' ').slice(0, length) || '-';
}

class Round {
  readonly accepted: Accepted[] = [];
  readonly refused: RefusedUpdate[] = [];
  readonly sum: CiphertextSum;
  readonly tally: WeightTally;
  readonly #clients = new Set<string>();
  readonly #shares: Uint8Array;

  constructor(
    private readonly options: AggregateOptions,
    private readonly spool: Spool,
    private readonly leftOut: ReadonlyMap<string, Unbalanced>,
  ) {
    this.tally = new WeightTally(options.plan.body);
    this.sum = new CiphertextSum(options.plan.arithmetic);
    this.#shares = new Uint8Array(sharesSectionBytes(options.plan.body));
  }

  async take(file: UpdateFile): Promise<void> {
    let container: Container<'update'> | undefined;
    try {
      const from = typeof file === 'string' ? file : await file.open();
      container = await openContainer(from, 'update', {
        maxFileBytes: this.options.plan.roster.body.maxUpdateBytes,
      });
      await this.#takeContainer(container);
    } catch (error) {
      // Bad input is left out and named; a failure of this machine is not the client's.
      if (!(error instanceof TensorGuardError) || this.options.strict) throw error;
      this.refused.push({
        source: oneLine(typeof file === 'string' ? basename(file) : file.name, 1024),
        code: error.code,
        message: oneLine(error.message, 2048),
        ...(container && { update: container.fingerprint, client: container.body.client }),
      });
    } finally {
      await container?.close();
    }
  }

  async #takeContainer(container: Container<'update'>): Promise<void> {
    const { plan } = this.options;
    const { client } = container.body;
    await checkUpdate(container, plan);
    requireTrainingWithinPolicy(this.options.policy, container.body.safety ?? {});
    const unbalanced = this.leftOut.get(client);
    if (unbalanced !== undefined) throw refusalOf(unbalanced);
    if (this.#clients.has(client)) {
      throw new RefusedError(
        'update.duplicate-client',
        `Another update of "${client}" is in the sum already; a client has one a round.`,
      );
    }
    if (this.accepted.length === plan.body.lwe.maxClients) {
      throw new RefusedError(
        'update.round-full',
        `The plan decodes a sum of at most ${plan.body.lwe.maxClients} updates, and that many are in it.`,
      );
    }
    // One buffer for all: the section has the same size in every update.
    const shares = this.#shares;
    await container.readSectionInto('shares', shares);
    await checkShares(container, shares);
    await container.readSectionInto('ciphertext', this.sum.slot());
    await this.sum.accept();
    this.#clients.add(client);
    this.tally.add(client, updateWeights(plan.body, container.body));
    this.accepted.push({
      client,
      // A view of the envelope's own memory would keep all of it.
      update: Uint8Array.from(container.fingerprint),
      envelope: await this.spool.append(container.envelopeBytes),
      shares: await this.spool.append(shares),
    });
  }
}

/**
 * Verifies and sums updates, and writes the signed aggregate to `out`. What must be refused is left out, with its reason
 * in the aggregate. Memory for a few updates and for the list of who took part: sealed shares wait on the disk.
 *
 * Whether a client has too much of a module's weight, or too few others have trained one, is known only when all are in; the
 * sum is then made again without those clients.
 *
 * @throws RefusedError `aggregate.below-quorum`, `weights.*`, `policy.*`; with `strict`, the first update's own error
 */
export async function aggregateUpdates(options: AggregateOptions): Promise<Aggregation> {
  const { plan, policy } = options;
  requirePlanAllowed(policy, plan, 'aggregator');
  const files: UpdateFile[] = [];
  for await (const file of options.updates) files.push(file);
  const leftOut = new Map<string, Unbalanced>();
  for (;;) {
    const outcome = await sumOnce(options, files, leftOut);
    if (!('clients' in outcome)) return outcome;
    for (const client of outcome.clients) leftOut.set(client, outcome);
  }
}

function requireQuorum({ plan }: AggregateOptions, { accepted, refused }: Round, offered: number): void {
  const { quorum } = plan.body;
  if (accepted.length >= quorum) return;
  const reasons = refused.map(({ source, code, message }) => `\n  ${source}: ${code}: ${message}`).join('');
  throw new RefusedError(
    'aggregate.below-quorum',
    `${accepted.length} of ${offered} updates can be summed; the plan's quorum is ${quorum}. Nothing was written.${reasons}`,
  );
}

/** @returns the aggregation, or who has to be left out of it */
async function sumOnce(
  options: AggregateOptions,
  files: readonly UpdateFile[],
  leftOut: ReadonlyMap<string, Unbalanced>,
): Promise<Aggregation | Unbalanced> {
  const spool = await Spool.open();
  try {
    const round = new Round(options, spool, leftOut);
    for (const [done, file] of files.entries()) {
      await round.take(file);
      options.onProgress?.(done + 1);
    }
    requireQuorum(options, round, files.length);
    const unbalanced = round.tally.unbalanced();
    if (unbalanced !== undefined && options.strict !== true) return unbalanced;
    round.tally.requireBalanced();
    const { accepted, refused } = round;
    accepted.sort((a, b) => compareBytes(a.update, b.update));
    const container = await writeContainer(options.out, {
      kind: 'aggregate',
      body: aggregateBody(options, accepted, refused),
      sections: [
        { name: 'ciphertext', data: await round.sum.finish() },
        { name: 'envelopes', data: spool.section(accepted.map(({ envelope }) => envelope)) },
        { name: 'shares', data: spool.section(accepted.map(({ shares }) => shares)) },
      ],
      signer: options.signing,
    });
    const { envelope, sizeBytes } = container;
    return { fingerprint: envelope.fingerprint, sizeBytes, accepted: accepted.length, refused };
  } finally {
    await spool.close();
  }
}

function aggregateBody(
  options: AggregateOptions,
  accepted: readonly Accepted[],
  refused: RefusedUpdate[],
): AggregateBody {
  const { fleet, policy, cohort, round } = options.plan.body;
  return {
    fleet,
    policy,
    cohort,
    round,
    plan: options.plan.fingerprint,
    aggregator: options.aggregatorId,
    accepted: accepted.map(({ client, update }) => ({ client, update })),
    envelopeLengths: accepted.map(({ envelope }) => envelope.length),
    shareLengths: accepted.map(({ shares }) => shares.length),
    refused,
  };
}
