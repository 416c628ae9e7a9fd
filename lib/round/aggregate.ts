/** The aggregator's part: verify each update, sum those that hold, say why the others do not. */
import { basename } from 'node:path';
import type { TrustedPlan } from '../custody/trusted-plan.js';
import { checkShares, checkUpdate } from '../custody/trusted-update.js';
import { RefusedError, TensorGuardError } from '../errors.js';
import { compareBytes } from '../package/fingerprint.js';
import type { AggregateBody, RefusedUpdate } from '../package/messages/aggregate.js';
import { type Container, openContainer } from '../package/reader.js';
import type { SigningKey } from '../package/signing-key.js';
import { type EncodedContainer, encodeContainer } from '../package/writer.js';
import { CiphertextSum } from './ciphertext-sum.js';

export interface AggregateOptions {
  readonly plan: TrustedPlan;
  readonly aggregatorId: string;
  readonly signing: SigningKey;
  /** Paths of update files, in any order. */
  readonly updates: AsyncIterable<string> | Iterable<string>;
  /** Fail at the first update that must be left out. */
  readonly strict?: boolean;
  readonly onProgress?: (done: number) => void;
}

interface Accepted {
  readonly client: string;
  readonly update: Uint8Array;
  readonly envelope: Uint8Array;
  readonly shares: Uint8Array;
}

export interface Aggregation {
  readonly container: EncodedContainer<'aggregate'>;
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
  readonly #clients = new Set<string>();

  constructor(private readonly options: AggregateOptions) {
    this.sum = new CiphertextSum(options.plan.arithmetic);
  }

  async take(path: string): Promise<void> {
    let container: Container<'update'> | undefined;
    try {
      container = await openContainer(path, 'update', {
        maxFileBytes: this.options.plan.roster.body.maxUpdateBytes,
      });
      await this.#takeContainer(container);
    } catch (error) {
      // Bad input is left out and named; a failure of this machine is not the client's.
      if (!(error instanceof TensorGuardError) || this.options.strict) throw error;
      this.refused.push({
        source: oneLine(basename(path), 1024),
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
    const shares = await container.readSection('shares');
    await checkShares(container, shares);
    await container.readSectionInto('ciphertext', this.sum.slot());
    await this.sum.accept();
    this.#clients.add(client);
    this.accepted.push({ client, update: container.fingerprint, envelope: container.envelopeBytes, shares });
  }
}

/**
 * Verifies and sums updates. What must be refused is left out, with its reason in the signed aggregate.
 *
 * @throws RefusedError `aggregate.below-quorum`; with `strict`, the first update's own error
 */
export async function aggregateUpdates(options: AggregateOptions): Promise<Aggregation> {
  const { plan } = options;
  const round = new Round(options);
  let done = 0;
  for await (const path of options.updates) {
    await round.take(path);
    done += 1;
    options.onProgress?.(done);
  }
  const { accepted, refused } = round;
  if (accepted.length < plan.body.quorum) {
    const reasons = refused.map(({ source, code, message }) => `\n  ${source}: ${code}: ${message}`).join('');
    throw new RefusedError(
      'aggregate.below-quorum',
      `${accepted.length} of ${done} updates can be summed; the plan's quorum is ${plan.body.quorum}. Nothing was written.${reasons}`,
    );
  }
  accepted.sort((a, b) => compareBytes(a.update, b.update));
  const { fleet, policy, cohort, round: number } = plan.body;
  const body: AggregateBody = {
    fleet,
    policy,
    cohort,
    round: number,
    plan: plan.fingerprint,
    aggregator: options.aggregatorId,
    accepted: accepted.map(({ client, update }) => ({ client, update })),
    envelopeLengths: accepted.map(({ envelope }) => envelope.length),
    shareLengths: accepted.map(({ shares }) => shares.length),
    refused,
  };
  const container = await encodeContainer({
    kind: 'aggregate',
    body,
    sections: [
      { name: 'ciphertext', data: await round.sum.finish() },
      { name: 'envelopes', data: Buffer.concat(accepted.map(({ envelope }) => envelope)) },
      { name: 'shares', data: Buffer.concat(accepted.map(({ shares }) => shares)) },
    ],
    signer: options.signing,
  });
  return { container, accepted: accepted.length, refused };
}
