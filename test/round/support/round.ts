/** One round from plan to average, in a directory, every step as its role takes it. */

import { existsSync } from 'node:fs';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClientState, createClientState, openClientState } from '../../../lib/custody/client-state.js';
import { answerRound, type CustodianIdentity } from '../../../lib/custody/custodian.js';
import { createLedger, type Ledger, openLedger } from '../../../lib/custody/ledger.js';
import type { TrustedRoster } from '../../../lib/custody/roster.js';
import { readTrustedPlan, type TrustedPlan } from '../../../lib/custody/trusted-plan.js';
import type { PlanBody } from '../../../lib/package/messages/plan.js';
import { openContainer } from '../../../lib/package/reader.js';
import { containerBytes, encodeContainer } from '../../../lib/package/writer.js';
import type { Policy } from '../../../lib/policy/policy.js';
import { createPrivacyLedger, openPrivacyLedger } from '../../../lib/privacy/privacy-ledger.js';
import { type AggregateOptions, type Aggregation, aggregateUpdates } from '../../../lib/round/aggregate.js';
import { closeRound } from '../../../lib/round/close-round.js';
import { type OpenedRoundReport, type OwnerIdentity, openRound } from '../../../lib/round/open-round.js';
import { type PlanOptions, planRound } from '../../../lib/round/plan-round.js';
import { openResiduals, settleResiduals } from '../../../lib/round/residuals.js';
import { budgetOf, PRIVACY_LEDGER_FILE } from '../../../lib/round/round-privacy.js';
import { RoundRecords } from '../../../lib/round/round-records.js';
import {
  type ClientIdentity,
  type SealedUpdateFile,
  type SealOptions,
  sealUpdate,
} from '../../../lib/round/seal-update.js';
import { custodianOf, kemKeyOf } from '../../custody/support/identities.js';
import { type Shape, writeAdapter } from './adapters.js';
import { type Clients, type ExpectedAverage, expectedAverage } from './expected-average.js';
import {
  type ClientMember,
  createMembers,
  type Members,
  type MembersOptions,
  type ReceivingMember,
  type RosterRules,
  rosterBody,
  signRoster,
  trustRosters,
} from './members.js';
import { forCustody, type Settings, testPolicy } from './policies.js';

export interface TestRoundOptions extends Partial<MembersOptions> {
  readonly rules?: RosterRules;
  /** Of every role's policy. */
  readonly policy?: Settings;
  readonly planning?: Partial<PlanOptions>;
  /** Changes to the body of the plan, after planning. */
  readonly plan?: Partial<PlanBody>;
  readonly shapes?: readonly Shape[];
}

/** What a client does differently from the others of its round. */
export interface ClientChanges {
  readonly policy?: Policy;
  /** Without error feedback. */
  readonly withoutResiduals?: boolean;
}

export interface SealChanges extends Partial<Pick<SealOptions, 'adapter' | 'base' | 'now' | 'training'>> {
  readonly as?: ClientChanges;
}

export const PLANNING = {
  maxClients: 8,
  quorum: 3,
  round: 1,
  policyName: 'pick',
  cohort: 'all',
  parameterSet: 'lwe-128',
} as const;

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
    readonly policy: Policy,
    readonly options: TestRoundOptions,
  ) {}

  static async start(directory: string, options: TestRoundOptions = {}): Promise<TestRound> {
    const members = await createMembers({ clients: 3, custodians: 3, ...options });
    const rosterFile = await signRoster(members, rosterBody(members, options.rules));
    await mkdir(join(directory, 'pin'), { recursive: true, mode: 0o700 });
    const roster = await trustRosters(join(directory, 'pin'), rosterFile);
    const { shapes } = options;
    const like =
      options.planning?.like ??
      (await writeAdapter(join(directory, 'like'), 'like', { ...(shapes !== undefined && { shapes }) }));
    const { threshold, custodians } = roster.body;
    const policy = forCustody(testPolicy(options.policy), threshold, custodians.length);
    const { body } = await planRound({ ...PLANNING, roster, like, policy, ...options.planning });
    const planFile = await signPlan(members, { ...body, ...options.plan });
    const plan = await readTrustedPlan(planFile, roster);
    return new TestRound(directory, members, rosterFile, roster, planFile, plan, like, policy, options);
  }

  /** The same fleet and directory under another plan: the next round unless `changes` say otherwise. */
  async next(changes: Partial<PlanBody> = {}, policy = this.policy): Promise<TestRound> {
    const { directory, members, rosterFile, roster, like, options } = this;
    const body = { ...this.plan.body, round: this.plan.body.round + 1, ...changes };
    const planFile = await signPlan(members, body);
    const plan = await readTrustedPlan(planFile, roster);
    return new TestRound(directory, members, rosterFile, roster, planFile, plan, like, policy, options);
  }

  /** The same round with everything that it has come to, in another directory. */
  async copyTo(directory: string): Promise<TestRound> {
    this.end();
    await copyWhole(this.directory, directory);
    const { members, rosterFile, roster, planFile, plan, like, policy, options } = this;
    return new TestRound(directory, members, rosterFile, roster, planFile, plan, like, policy, options);
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

  /** Runs `use` as a client, with its state, residuals and privacy ledger open. */
  async asClient<T>(
    number: number,
    use: (client: ClientIdentity) => Promise<T>,
    { policy = this.policy, withoutResiduals = false }: ClientChanges = {},
  ): Promise<T> {
    const { id, signing, prf } = this.client(number);
    const directory = join(this.directory, id);
    const state: ClientState = existsSync(directory)
      ? await openClientState(directory)
      : await createClientState(directory);
    const path = join(directory, PRIVACY_LEDGER_FILE);
    const ledger = existsSync(path) ? await openPrivacyLedger(path) : await createPrivacyLedger(path);
    try {
      const residuals =
        policy.training.errorFeedback && !withoutResiduals ? await openResiduals(directory) : undefined;
      return await use({
        id,
        signing,
        prf,
        state,
        policy,
        residuals,
        privacy: { ledger, budget: budgetOf(policy) },
      });
    } finally {
      ledger.close();
      state.close();
    }
  }

  /** The adapter of a client: decided by its number. */
  async adapter(number: number): Promise<string> {
    const directory = join(this.directory, `adapter-${number}`);
    const { shapes } = this.options;
    return existsSync(directory)
      ? directory
      : writeAdapter(directory, `client ${number}`, { ...(shapes !== undefined && { shapes }) });
  }

  async seal(number: number, { as, ...changes }: SealChanges = {}): Promise<SealedUpdateFile> {
    const adapter = changes.adapter ?? (await this.adapter(number));
    return this.asClient(
      number,
      (client) => sealUpdate({ ...changes, client, plan: this.plan, adapter }),
      as,
    );
  }

  async sealAll(numbers: readonly number[] = [1, 2, 3]): Promise<string[]> {
    const paths: string[] = [];
    for (const number of numbers) paths.push((await this.seal(number)).stored);
    return paths;
  }

  /** What the textbook makes of clients' adapters; those of clients 1, 2, 3 unless told. */
  async expected(
    clients: Partial<Clients> & { readonly numbers?: readonly number[] } = {},
  ): Promise<ExpectedAverage> {
    const { numbers = [1, 2, 3], ...rest } = clients;
    const adapters = await Promise.all(numbers.map((number) => this.adapter(number)));
    return expectedAverage(this.plan, { adapters, ...rest });
  }

  /** What the aggregator is told, with its own policy that of the round. */
  aggregating(
    updates: AggregateOptions['updates'],
    changes: Partial<AggregateOptions> = {},
  ): AggregateOptions {
    const { aggregator } = this.members;
    return {
      plan: this.plan,
      policy: this.policy,
      aggregatorId: aggregator.id,
      signing: aggregator.signing,
      updates,
      out: this.path('.tga'),
      ...changes,
    };
  }

  /** Sums updates, all of which must hold; the aggregate's path. */
  async aggregate(updates: readonly string[]): Promise<string> {
    return (await this.aggregateLeniently(updates, { strict: true })).out;
  }

  /** Sums what holds of them. */
  async aggregateLeniently(
    updates: readonly string[],
    changes: Partial<AggregateOptions> = {},
  ): Promise<Aggregation & { readonly out: string }> {
    const options = this.aggregating(updates, changes);
    return { ...(await aggregateUpdates(options)), out: options.out };
  }

  async custodianIdentity(index: number): Promise<CustodianIdentity> {
    const member = this.custodian(index);
    const { id } = member;
    const path = join(this.directory, id, 'ledger.sqlite');
    const ledger =
      this.#ledgers.get(id) ?? (await (existsSync(path) ? openLedger(path) : createLedger(path)));
    this.#ledgers.set(id, ledger);
    return custodianOf(member, ledger);
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
    const { owner } = this.members;
    const records = new RoundRecords(join(this.directory, 'owner'));
    return { signing: owner.signing, kemKey: kemKeyOf(owner), records, policy: this.policy };
  }

  async open(
    aggregate: string,
    answers: readonly string[],
    options: { out?: string; base?: string; verify?: readonly string[]; policy?: Policy } = {},
  ): Promise<OpenedRoundReport & { readonly out: string }> {
    const { policy = this.policy, ...rest } = options;
    const out = options.out ?? this.path('-average');
    const report = await openRound({
      ...rest,
      owner: { ...this.owner(), policy },
      plan: this.plan,
      aggregate,
      answers,
      out,
    });
    return { ...report, out };
  }

  /** From the clients' updates to the average, with the answers of the first custodians that suffice. */
  async finish(
    updates: readonly string[],
    options: { base?: string } = {},
  ): Promise<OpenedRoundReport & { readonly out: string; readonly aggregate: string }> {
    const aggregate = await this.aggregate(updates);
    const first = Array.from({ length: this.plan.body.threshold }, (_, i) => i + 1);
    return { ...(await this.open(aggregate, await this.answers(aggregate, first), options)), aggregate };
  }

  /** Closes the round, opened or not, and gives the record to these clients; what the first makes of it. */
  async close(
    numbers: readonly number[],
    aggregate?: string,
    as?: ClientChanges,
  ): Promise<'opened' | 'not-opened' | 'absent'> {
    const { body } = await closeRound(this.owner(), this.plan, aggregate, undefined);
    const outcomes = [];
    for (const number of numbers) {
      outcomes.push(
        await this.asClient(
          number,
          async ({ state, residuals }) => {
            const { outcome } = await state.recordClose({ plan: body.plan, opened: body.opened });
            if (residuals !== undefined) await settleResiduals(residuals, state);
            return outcome;
          },
          as,
        ),
      );
    }
    return outcomes[0] as 'opened' | 'not-opened' | 'absent';
  }

  /** Gives back the ledgers' files. */
  end(): void {
    for (const ledger of this.#ledgers.values()) ledger.close();
    this.#ledgers.clear();
  }
}

/** SQLite's side files go whenever the garbage collector finishes a closed database: then the copy is made again. */
async function copyWhole(from: string, to: string): Promise<void> {
  for (let attempts = 10; ; attempts -= 1) {
    try {
      await cp(from, to, { recursive: true });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempts === 0) throw error;
      await rm(to, { recursive: true, force: true });
    }
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
