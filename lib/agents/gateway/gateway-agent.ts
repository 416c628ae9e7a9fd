/**
 * What runs at a site's gateway: it sums the updates that the site's robots leave in a shared directory, and sends one partial
 * sum in their place. Whether the robots' updates hold is for the sum to say, and once more for the service.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { openRole } from '../../custody/role-directory.js';
import { readPlanToServe } from '../../custody/role-plan.js';
import { hex } from '../../package/messages/common.js';
import { sumAtGateway } from '../../round/gateway-sum.js';
import { type RolePolicyOptions, readRolePolicy } from '../../round/role-policy.js';
import { type AgentDirectory, readRecord, writeRecord } from '../agent-directory.js';
import type { AgentLog } from '../agent-log.js';
import type { FleetApi } from '../api/fleet-api.js';
import { fingerprintSchema, type ItemOf, itemsOf } from '../api/work-items.js';
import { attemptItem } from '../items.js';
import type { RetrySchedule } from '../retry-schedule.js';
import type { RosterSync } from '../roster-sync.js';
import { type SiteUpdate, SiteUpdates } from './site-updates.js';

export interface GatewayAgentOptions {
  readonly gatewayDirectory: string;
  /** Shared with the site's robots. */
  readonly updatesDirectory: string;
  /** Robots of the site: once as many have left an update, the sum is sent. */
  readonly expectedRobots?: number | undefined;
  /** How long before the round's deadline it is sent in any case. */
  readonly sendBeforeMs?: number;
  readonly rolePolicy?: RolePolicyOptions;
}

export interface GatewayAgentDependencies {
  readonly api: Pick<FleetApi, 'work' | 'plan' | 'putPartialSum'>;
  readonly directory: AgentDirectory;
  readonly roster: Pick<RosterSync, 'sync'>;
  readonly log: AgentLog;
  readonly retries: RetrySchedule;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

const DEFAULT_SEND_BEFORE_MS = 120_000;

/** A partial sum that was made: what is sent again after a cut has to be the same bytes. */
const madeSchema = z.strictObject({
  partialSum: fingerprintSchema,
  /** What it was made of, ascending; refused ones among them. */
  from: z.array(fingerprintSchema),
  sent: z.boolean(),
});

export class GatewayAgent {
  readonly #updates: SiteUpdates;
  readonly #now: () => number;

  private constructor(
    private readonly options: GatewayAgentOptions,
    private readonly with_: GatewayAgentDependencies,
    /** Where partial sums are kept until their round is closed. */
    private readonly sums: string,
  ) {
    this.#updates = new SiteUpdates(options.updatesDirectory);
    this.#now = with_.now ?? Date.now;
  }

  /** The caller holds the lock of the agent's directory. */
  static async open(
    options: GatewayAgentOptions,
    dependencies: GatewayAgentDependencies,
  ): Promise<GatewayAgent> {
    return new GatewayAgent(options, dependencies, await dependencies.directory.below('sums'));
  }

  /** @throws failures of the connection */
  async step(): Promise<void> {
    const items = await this.with_.api.work();
    await this.with_.roster.sync();
    for (const item of itemsOf(items, 'collect')) await this.#collect(item);
    const here = new Set(await this.#updates.plans());
    for (const { plan } of itemsOf(items, 'closed').filter((item) => here.has(item.plan))) {
      await this.#forget(plan);
    }
  }

  async #collect(item: ItemOf<'collect'>): Promise<void> {
    const { plan } = item;
    const attempt = { key: `collect ${plan}`, event: 'gateway.not-sent', fields: { plan } };
    await attemptItem(this.with_, attempt, async () => {
      const elsewhere = new Set(item.elsewhere);
      const made = await readRecord(this.#recordPath(plan), madeSchema);
      const listed = await this.#updates.list(plan, new Set(made?.from));
      const updates = listed.filter(({ client }) => client === undefined || !elsewhere.has(client));
      const isMade = made !== undefined && sameSet(made.from, updates);
      if (isMade && made.sent) return;
      if (updates.length === 0 || !(isMade || this.#isDue(item, updates.length))) return;
      await this.#send(plan, isMade ? made.partialSum : await this.#sum(plan, updates), updates);
    });
  }

  #isDue({ deadlineMs }: ItemOf<'collect'>, updates: number): boolean {
    const { expectedRobots, sendBeforeMs = DEFAULT_SEND_BEFORE_MS } = this.options;
    if (expectedRobots !== undefined && updates >= expectedRobots) return true;
    return this.#now() >= deadlineMs - sendBeforeMs;
  }

  /** @returns fingerprint of the partial sum, which is on the disk then */
  async #sum(plan: string, updates: readonly SiteUpdate[]): Promise<string> {
    const { gatewayDirectory, rolePolicy = {} } = this.options;
    const { api, log } = this.with_;
    const { policy } = await readRolePolicy(gatewayDirectory, rolePolicy);
    const role = await openRole(gatewayDirectory, 'gateway');
    role.close();
    const trusted = await readPlanToServe(gatewayDirectory, await api.plan(plan), role.roster);
    const { fingerprint, contributors, refused } = await sumAtGateway({
      ...{ plan: trusted, policy, gatewayId: role.id, signing: role.signing },
      updates: updates.map(({ path }) => path),
      out: this.#sumPath(plan),
    });
    for (const { source, code, message } of refused) {
      log.write('warn', 'gateway.update-refused', { plan, source, code, message });
    }
    const partialSum = hex(fingerprint);
    const from = updates.map(({ update }) => update);
    await writeRecord(this.#recordPath(plan), { partialSum, from, sent: false });
    log.write('info', 'gateway.summed', { plan, partialSum, contributors: contributors.length });
    return partialSum;
  }

  async #send(plan: string, partialSum: string, updates: readonly SiteUpdate[]): Promise<void> {
    await this.with_.api.putPartialSum(plan, partialSum, this.#sumPath(plan));
    const from = updates.map(({ update }) => update);
    await writeRecord(this.#recordPath(plan), { partialSum, from, sent: true });
    this.with_.log.write('info', 'gateway.sent', { plan, partialSum });
  }

  async #forget(plan: string): Promise<void> {
    await this.#updates.remove(plan);
    await rm(this.#sumPath(plan), { force: true });
    await rm(this.#recordPath(plan), { force: true });
    this.with_.log.write('info', 'gateway.round-closed', { plan });
  }

  #sumPath(plan: string): string {
    return join(this.sums, `${plan}.tgg`);
  }

  #recordPath(plan: string): string {
    return join(this.sums, `${plan}.json`);
  }
}

function sameSet(from: readonly string[], updates: readonly SiteUpdate[]): boolean {
  return from.length === updates.length && updates.every(({ update }, i) => update === from[i]);
}
