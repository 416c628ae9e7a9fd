/** One round from plan to average, in a directory, every step as its role takes it. */
import { existsSync } from 'node:fs';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClientState, createClientState, openClientState } from '../../../lib/custody/client-state.js';
import { answerRound, type CustodianIdentity } from '../../../lib/custody/custodian.js';
import { createLedger, type Ledger } from '../../../lib/custody/ledger.js';
import type { TrustedRoster } from '../../../lib/custody/roster.js';
import { readTrustedPlan, type TrustedPlan } from '../../../lib/custody/trusted-plan.js';
import type { PlanBody } from '../../../lib/package/messages/plan.js';
import { openContainer } from '../../../lib/package/reader.js';
import { containerBytes, encodeContainer } from '../../../lib/package/writer.js';
import { aggregateUpdates } from '../../../lib/round/aggregate.js';
import { type OpenedRoundReport, type OwnerIdentity, openRound } from '../../../lib/round/open-round.js';
import { planRound } from '../../../lib/round/plan-round.js';
import { RoundRecords } from '../../../lib/round/round-records.js';
import { type ClientIdentity, type SealedUpdateFile, sealUpdate } from '../../../lib/round/seal-update.js';
import { writeAdapter } from './adapters.js';
import {
  type ClientMember,
  createMembers,
  EPOCH,
  type Members,
  type MembersOptions,
  type ReceivingMember,
  type RosterRules,
  rosterBody,
  signRoster,
  trustRosters,
} from './members.js';

export interface TestRoundOptions extends Partial<MembersOptions> {
  readonly rules?: RosterRules;
  readonly bits?: number;
  readonly plan?: Partial<PlanBody>;
}

export class TestRound {
  readonly #ledgers = new Map<string, Ledger>();
  #files = 0;

  private constructor(
    readonly directory: string,
    readonly members: Members,
    readonly rosterFile: Uint8Array,
    readonly roster: TrustedRoster,
    readonly planFile: Uint8Array,
    readonly plan: TrustedPlan,
    readonly like: string,
  ) {}

  static async start(directory: string, options: TestRoundOptions = {}): Promise<TestRound> {
    const members = await createMembers({ clients: 3, custodians: 3, ...options });
    const rosterFile = await signRoster(members, rosterBody(members, options.rules));
    await mkdir(join(directory, 'pin'), { recursive: true, mode: 0o700 });
    const roster = await trustRosters(join(directory, 'pin'), rosterFile);
    const like = await writeAdapter(join(directory, 'like'), 'like');
    const { body } = await planRound({
      roster,
      like,
      bits: options.bits ?? 4,
      maxClients: 8,
      quorum: 3,
      round: 1,
      policy: 'pick',
      cohort: 'all',
      parameterSet: 'lwe-128',
    });
    const planFile = await signPlan(members, { ...body, ...options.plan });
    const plan = await readTrustedPlan(planFile, roster);
    return new TestRound(directory, members, rosterFile, roster, planFile, plan, like);
  }

  /** The same fleet and directory under another plan: the next round unless `changes` say otherwise. */
  async next(changes: Partial<PlanBody> = {}): Promise<TestRound> {
    const body = { ...this.plan.body, round: this.plan.body.round + 1, ...changes };
    const planFile = await signPlan(this.members, body);
    const plan = await readTrustedPlan(planFile, this.roster);
    return new TestRound(
      this.directory,
      this.members,
      this.rosterFile,
      this.roster,
      planFile,
      plan,
      this.like,
    );
  }

  /** The same round with everything that it has come to, in another directory. */
  async copyTo(directory: string): Promise<TestRound> {
    this.end();
    await cp(this.directory, directory, { recursive: true });
    const { members, rosterFile, roster, planFile, plan, like } = this;
    return new TestRound(directory, members, rosterFile, roster, planFile, plan, like);
  }

  /** A path that nothing is at. */
  path(extension: string): string {
    for (;;) {
      this.#files += 1;
      const path = join(this.directory, `${this.plan.body.round}-${this.#files}${extension}`);
      if (!existsSync(path)) return path;
    }
  }

  async file(extension: string, bytes: Uint8Array): Promise<string> {
    const path = this.path(extension);
    await writeFile(path, bytes);
    return path;
  }

  client(number: number): ClientMember {
    return this.members.clients[number - 1] as ClientMember;
  }

  custodian(index: number): ReceivingMember {
    return this.members.custodians[index - 1] as ReceivingMember;
  }

  /** Runs `use` as a client, with its state open. */
  async asClient<T>(number: number, use: (client: ClientIdentity) => Promise<T>): Promise<T> {
    const { id, signing, prf } = this.client(number);
    const directory = join(this.directory, id);
    const state: ClientState = existsSync(directory)
      ? await openClientState(directory)
      : await createClientState(directory);
    try {
      return await use({ id, signing, prf, state });
    } finally {
      state.close();
    }
  }

  /** The adapter of a client: decided by its number. */
  async adapter(number: number): Promise<string> {
    const directory = join(this.directory, `adapter-${number}`);
    return existsSync(directory) ? directory : writeAdapter(directory, `client ${number}`);
  }

  async seal(
    number: number,
    options: { adapter?: string; base?: string; now?: number } = {},
  ): Promise<SealedUpdateFile> {
    const adapter = options.adapter ?? (await this.adapter(number));
    return this.asClient(number, (client) => sealUpdate({ ...options, client, plan: this.plan, adapter }));
  }

  async sealAll(numbers: readonly number[] = [1, 2, 3]): Promise<string[]> {
    const paths: string[] = [];
    for (const number of numbers) paths.push((await this.seal(number)).stored);
    return paths;
  }

  /** Sums updates, all of which must hold; the aggregate's path. */
  async aggregate(updates: readonly string[]): Promise<string> {
    const out = this.path('.tga');
    const { aggregator } = this.members;
    await aggregateUpdates({
      plan: this.plan,
      aggregatorId: aggregator.id,
      signing: aggregator.signing,
      updates,
      strict: true,
      out,
    });
    return out;
  }

  async custodianIdentity(index: number): Promise<CustodianIdentity> {
    const { id, signing, kem } = this.custodian(index);
    const ledger = this.#ledgers.get(id) ?? (await createLedger(join(this.directory, id, 'ledger.sqlite')));
    this.#ledgers.set(id, ledger);
    return { id, signing, kem: [{ epoch: EPOCH, seed: kem }], ledger };
  }

  /** A custodian's answer for an aggregate; the same bytes each time. */
  async answerBytes(index: number, aggregate: string): Promise<Uint8Array> {
    const container = await openContainer(aggregate, 'aggregate');
    try {
      return (await answerRound(await this.custodianIdentity(index), this.plan, container)).answer;
    } finally {
      await container.close();
    }
  }

  async answers(aggregate: string, indices: readonly number[]): Promise<string[]> {
    const paths: string[] = [];
    for (const index of indices)
      paths.push(await this.file('.tgs', await this.answerBytes(index, aggregate)));
    return paths;
  }

  owner(): OwnerIdentity {
    const { signing, kem } = this.members.owner;
    return { signing, kem, records: new RoundRecords(join(this.directory, 'owner')) };
  }

  async open(
    aggregate: string,
    answers: readonly string[],
    options: { out?: string; base?: string; verify?: readonly string[] } = {},
  ): Promise<OpenedRoundReport & { readonly out: string }> {
    const out = options.out ?? this.path('-average');
    const report = await openRound({
      ...options,
      owner: this.owner(),
      plan: this.plan,
      aggregate,
      answers,
      out,
    });
    return { ...report, out };
  }

  /** Gives back the ledgers' files. */
  end(): void {
    for (const ledger of this.#ledgers.values()) ledger.close();
    this.#ledgers.clear();
  }
}

export async function signPlan(members: Members, body: PlanBody, created?: number): Promise<Uint8Array> {
  return containerBytes(
    await encodeContainer({
      kind: 'plan',
      body,
      sections: [],
      signer: members.coordinator.signing,
      ...(created !== undefined && { created }),
    }),
  );
}
