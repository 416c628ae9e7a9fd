/** A sum that is being made: what is taken into it, whose it is, and what had to be left out. */
import { basename } from 'node:path';
import { contributors } from '../custody/contributions.js';
import { checkPartialSum } from '../custody/partial-sums.js';
import { sharesSectionBytes } from '../custody/sharing.js';
import type { TrustedPlan } from '../custody/trusted-plan.js';
import { checkShares, checkUpdate } from '../custody/trusted-update.js';
import { refusalOf, type Unbalanced, updateWeights, WeightTally } from '../custody/weights.js';
import { FormatError, RefusedError, TensorGuardError } from '../errors.js';
import { compareBytes } from '../package/fingerprint.js';
import type { RefusedUpdate } from '../package/messages/aggregate.js';
import type { UpdateBody } from '../package/messages/update.js';
import { oneLine } from '../package/one-line.js';
import { type AnyContainer, type Container, openAnyContainer } from '../package/reader.js';
import type { ByteSource } from '../package/source.js';
import type { SectionInput } from '../package/writer.js';
import { requireTrainingWithinPolicy } from '../policy/bounds.js';
import type { Policy } from '../policy/policy.js';
import { CiphertextSum } from './ciphertext-sum.js';
import type { Spool, Spooled } from './spool.js';

/** A path, or a name for messages with a way to read what it names: it may be opened more than once. */
export type SummedFile = string | { readonly name: string; open(): Promise<ByteSource> };

export interface SumOptions {
  readonly plan: TrustedPlan;
  /** What whoever sums allows. */
  readonly policy: Policy;
  /** Kinds of files that are summed here. */
  readonly kinds: readonly ('update' | 'partial-sum')[];
  /** Fail at the first file that must be left out. */
  readonly strict?: boolean | undefined;
}

interface Contributor {
  readonly client: string;
  readonly update: Uint8Array;
  readonly partialSum?: Uint8Array;
  readonly envelope: Spooled;
  readonly shares: Spooled;
}

function nameOf(file: SummedFile): string {
  return oneLine(typeof file === 'string' ? basename(file) : file.name, 1024);
}

export class SumInProgress {
  readonly refused: RefusedUpdate[] = [];
  readonly tally: WeightTally;
  readonly #contributors: Contributor[] = [];
  readonly #clients = new Set<string>();
  readonly #sum: CiphertextSum;
  readonly #shares: Uint8Array;

  /** @param leftOut clients whose weight does not fit with the others' */
  constructor(
    private readonly options: SumOptions,
    private readonly spool: Spool,
    private readonly leftOut: ReadonlyMap<string, Unbalanced> = new Map(),
  ) {
    this.tally = new WeightTally(options.plan.body);
    this.#sum = new CiphertextSum(options.plan.arithmetic);
    this.#shares = new Uint8Array(sharesSectionBytes(options.plan.body));
  }

  get contributorCount(): number {
    return this.#contributors.length;
  }

  /** Takes a file in, or notes why not. @throws EnvironmentError; with `strict` whatever the file is refused with */
  async take(file: SummedFile): Promise<void> {
    let container: AnyContainer | undefined;
    try {
      const from = typeof file === 'string' ? file : await file.open();
      container = await openAnyContainer(from, { maxFileBytes: this.#maxFileBytes() });
      await this.#takeContainer(container);
    } catch (error) {
      // Bad input is left out and named; a failure of this machine is not the client's.
      if (!(error instanceof TensorGuardError) || this.options.strict) throw error;
      this.#refuse(nameOf(file), error, container);
    } finally {
      await container?.close();
    }
  }

  /** The lists and sections of the sum. */
  async finish() {
    const contributors = this.#contributors.sort((a, b) => compareBytes(a.update, b.update));
    return {
      contributors: contributors.map(({ client, update, partialSum }) => ({
        ...{ client, update },
        ...(partialSum !== undefined && { partialSum }),
      })),
      envelopeLengths: contributors.map(({ envelope }) => envelope.length),
      shareLengths: contributors.map(({ shares }) => shares.length),
      sections: [
        { name: 'ciphertext', data: await this.#sum.finish() },
        { name: 'envelopes', data: this.spool.section(contributors.map(({ envelope }) => envelope)) },
        { name: 'shares', data: this.spool.section(contributors.map(({ shares }) => shares)) },
      ] satisfies SectionInput[],
    };
  }

  #maxFileBytes(): number {
    const { plan, kinds } = this.options;
    const { maxUpdateBytes } = plan.roster.body;
    return kinds.includes('partial-sum') ? maxUpdateBytes * plan.body.lwe.maxClients : maxUpdateBytes;
  }

  async #takeContainer(container: AnyContainer): Promise<void> {
    const { kind } = container;
    const isSummed = (this.options.kinds as readonly string[]).includes(kind);
    if (kind === 'update' && isSummed) await this.#takeUpdate(container);
    else if (kind === 'partial-sum' && isSummed) await this.#takePartialSum(container);
    else {
      throw new FormatError(
        'container.wrong-kind',
        `This is a file of kind "${kind}"; what is summed here is ${this.options.kinds.join(' or ')}.`,
      );
    }
  }

  async #takeUpdate(container: Container<'update'>): Promise<void> {
    const { plan } = this.options;
    const { maxUpdateBytes } = plan.roster.body;
    if (container.sizeBytes > maxUpdateBytes) {
      throw new FormatError(
        'container.too-large',
        `The update has ${container.sizeBytes} bytes; the roster's ceiling is ${maxUpdateBytes}.`,
      );
    }
    await checkUpdate(container, plan);
    this.#requireWanted([container.body]);
    // One buffer for all: the section has the same size in every update.
    const shares = this.#shares;
    await container.readSectionInto('shares', shares);
    await checkShares(container, shares);
    await container.readSectionInto('ciphertext', this.#sum.slot());
    const contributor = await this.#spool(container, shares);
    await this.#accept([{ contributor, body: container.body }]);
  }

  /** All of a partial sum's contributors, or none: what was added cannot be taken apart again. */
  async #takePartialSum(partial: Container<'partial-sum'>): Promise<void> {
    const { plan } = this.options;
    await checkPartialSum(partial, plan);
    const taken: { readonly contributor: Contributor; readonly body: UpdateBody }[] = [];
    for await (const { envelope, shares } of contributors(partial, plan)) {
      const contributor = await this.#spool(envelope, shares);
      const { body } = envelope;
      taken.push({ contributor: { ...contributor, partialSum: Uint8Array.from(partial.fingerprint) }, body });
    }
    this.#requireWanted(taken.map(({ body }) => body));
    await partial.readSectionInto('ciphertext', this.#sum.slot());
    await this.#accept(taken);
  }

  #requireWanted(bodies: readonly UpdateBody[]): void {
    const { plan, policy } = this.options;
    for (const { client, safety } of bodies) {
      requireTrainingWithinPolicy(policy, safety ?? {});
      const unbalanced = this.leftOut.get(client);
      if (unbalanced !== undefined) throw refusalOf(unbalanced);
      if (this.#clients.has(client)) {
        throw new RefusedError(
          'update.duplicate-client',
          `Another update of "${client}" is in the sum already; a client has one a round.`,
        );
      }
    }
    const { maxClients } = plan.body.lwe;
    if (this.#contributors.length + bodies.length > maxClients) {
      throw new RefusedError(
        'update.round-full',
        `The plan decodes a sum of at most ${maxClients} updates, and ${this.#contributors.length} are in it.`,
      );
    }
  }

  async #spool(
    { body, fingerprint, envelopeBytes }: Pick<Container<'update'>, 'body' | 'fingerprint' | 'envelopeBytes'>,
    shares: Uint8Array,
  ): Promise<Contributor> {
    return {
      client: body.client,
      // A view of the envelope's own memory would keep all of it.
      update: Uint8Array.from(fingerprint),
      envelope: await this.spool.append(envelopeBytes),
      shares: await this.spool.append(shares),
    };
  }

  async #accept(taken: readonly { readonly contributor: Contributor; readonly body: UpdateBody }[]) {
    await this.#sum.accept();
    for (const { contributor, body } of taken) {
      this.#clients.add(contributor.client);
      this.tally.add(contributor.client, updateWeights(this.options.plan.body, body));
      this.#contributors.push(contributor);
    }
  }

  #refuse(source: string, error: TensorGuardError, container: AnyContainer | undefined): void {
    const why = { source, code: error.code, message: oneLine(error.message, 2048) };
    const named = container?.kind === 'update' ? container : undefined;
    this.refused.push({ ...why, ...(named && { update: named.fingerprint, client: named.body.client }) });
  }
}
