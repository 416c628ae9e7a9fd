/** What custodians and owner do with an aggregate, each with what it fetches from the service. */
import { writeFile } from 'node:fs/promises';
import type { SignedClient } from '../../lib/agents/http/signed-client.js';
import { answerRound } from '../../lib/custody/custodian.js';
import { openCustodian } from '../../lib/custody/custodian-directory.js';
import { readTrustedPlan } from '../../lib/custody/trusted-plan.js';
import { openContainer } from '../../lib/package/reader.js';
import { closeRound } from '../../lib/round/close-round.js';
import { type OpenedRoundReport, openRound } from '../../lib/round/open-round.js';
import { openOwner } from '../../lib/round/owner-directory.js';
import { type RoundStatus, roundStatusSchema } from '../../lib/server/rounds/round-status.js';
import { type PlannedRound, type SoakFleet, THRESHOLD } from './fleet.js';
import { untilAnswered } from './sending.js';

const MAX_AGGREGATE_BYTES = 64 << 20;

export interface OpenedRound {
  readonly report: OpenedRoundReport;
  /** Directory of the average adapter. */
  readonly average: string;
  readonly closed: RoundStatus;
  /** The close record. */
  readonly record: Uint8Array;
}

export class Opening {
  /** @param addresses of the servers, any of which does */
  constructor(
    private readonly fleet: SoakFleet,
    private readonly addresses: readonly string[],
    private readonly round: PlannedRound,
  ) {}

  /** @param updates files to recompute the sum from, or none */
  async open(updates: readonly string[]): Promise<OpenedRound> {
    const { fleet, round } = this;
    const custodians = Array.from({ length: THRESHOLD }, (_, i) => `custodian-${i + 1}`);
    for (const custodian of custodians) await this.#answer(custodian);
    const aggregate = await this.#fetch('owner', 'aggregate', 'owner.tga');
    const answers: string[] = [];
    for (const custodian of custodians) {
      answers.push(await this.#fetch('owner', `answers/${custodian}`, `opened-${custodian}.tgs`));
    }
    const { owner, role } = await openOwner(fleet.role('owner'), { environment: {} });
    try {
      const plan = await readTrustedPlan(round.path, role.roster);
      const average = fleet.at(`average-${plan.body.round}`);
      const report = await openRound({
        ...{ owner, plan, aggregate, answers, out: average },
        ...(updates.length > 0 && { verify: updates }),
      });
      const { record } = await closeRound(owner, plan, aggregate, undefined);
      const closed = await this.#send('owner', 'close', record);
      return { report, average, closed, record };
    } finally {
      role.close();
    }
  }

  async status(): Promise<RoundStatus> {
    return this.#call('owner', (api) => api.getJson(`/v1/rounds/${this.round.name}`, roundStatusSchema));
  }

  async sendPlan(): Promise<RoundStatus> {
    const { name, bytes } = this.round;
    return this.#call('coordinator', (api) =>
      api.putBytes(`/v1/rounds/${name}/plan`, bytes, 'named-by-path', roundStatusSchema),
    );
  }

  async sendClose(record: Uint8Array): Promise<RoundStatus> {
    return this.#send('owner', 'close', record);
  }

  async fetchAggregate(): Promise<Uint8Array> {
    return this.#call('owner', (api) =>
      api.getBytes(`/v1/rounds/${this.round.name}/aggregate`, MAX_AGGREGATE_BYTES),
    );
  }

  /** The close record as robots fetch it. */
  async fetchClose(): Promise<Uint8Array> {
    return this.#call('owner', (api) => api.getBytes(`/v1/rounds/${this.round.name}/close`, 1 << 22));
  }

  async #answer(name: string): Promise<void> {
    const aggregate = await this.#fetch(name, 'aggregate', `${name}.tga`);
    const { custodian, role, close } = await openCustodian(this.fleet.role(name));
    try {
      const plan = await readTrustedPlan(this.round.path, role.roster);
      const container = await openContainer(aggregate, 'aggregate');
      const { answer } = await answerRound(custodian, plan, container).finally(() => container.close());
      await this.#send(name, `answers/${name}`, answer);
    } finally {
      close();
    }
  }

  async #send(role: string, path: string, bytes: Uint8Array): Promise<RoundStatus> {
    return this.#call(role, (api) =>
      api.putBytes(`/v1/rounds/${this.round.name}/${path}`, bytes, 'content-digest', roundStatusSchema),
    );
  }

  async #fetch(role: string, path: string, file: string): Promise<string> {
    const bytes = await this.#call(role, (api) =>
      api.getBytes(`/v1/rounds/${this.round.name}/${path}`, MAX_AGGREGATE_BYTES),
    );
    await writeFile(this.fleet.at(file), bytes);
    return this.fleet.at(file);
  }

  #call<T>(role: string, work: (api: SignedClient) => Promise<T>): Promise<T> {
    return untilAnswered(async (attempt) => {
      const address = this.addresses[attempt % this.addresses.length] as string;
      return work(await this.fleet.api(role, address));
    });
  }
}
