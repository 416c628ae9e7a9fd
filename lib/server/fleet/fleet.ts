/**
 * The fleet that a server serves: its aggregator's keys, the newest roster, and plans under the rosters that they name.
 *
 * The roster comes from the owner, through any of the servers that share a store; each takes it into its aggregator's
 * directory, as every role does, and so refuses older ones for itself.
 */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openRole, ROSTER_FILE } from '../../custody/role-directory.js';
import { readPlanToServe } from '../../custody/role-plan.js';
import type { TrustedRoster } from '../../custody/roster.js';
import { acceptRoster } from '../../custody/roster-archive.js';
import type { TrustedPlan } from '../../custody/trusted-plan.js';
import { hex } from '../../package/messages/common.js';
import { openContainer } from '../../package/reader.js';
import type { LocalSigningKey } from '../../package/signing-key.js';
import type { Policy } from '../../policy/policy.js';
import { RosterKeyDirectory } from '../auth/key-directory.js';

export interface FleetOptions {
  /** The aggregator's directory. */
  readonly directory: string;
  /** What the aggregator allows. */
  readonly policy: Policy;
}

/** Plans that are kept in memory; one has some kilobytes, and checking one takes milliseconds. */
const MAX_CACHED_PLANS = 64;

export class ServedFleet {
  readonly aggregatorId: string;
  readonly signing: LocalSigningKey;
  readonly policy: Policy;
  readonly keys: RosterKeyDirectory;
  readonly #directory: string;
  #roster: TrustedRoster;
  readonly #plans = new Map<string, TrustedPlan>();

  private constructor(
    options: FleetOptions,
    aggregatorId: string,
    signing: LocalSigningKey,
    roster: TrustedRoster,
  ) {
    this.#directory = options.directory;
    this.policy = options.policy;
    this.aggregatorId = aggregatorId;
    this.signing = signing;
    this.#roster = roster;
    this.keys = new RosterKeyDirectory(roster.body);
  }

  /** @throws as `openRole` does */
  static async open(options: FleetOptions): Promise<ServedFleet> {
    const role = await openRole(options.directory, 'aggregator');
    role.close();
    return new ServedFleet(options, role.id, role.signing, role.roster);
  }

  /** The newest roster as its owner signed it. */
  async rosterFile(): Promise<Uint8Array> {
    return new Uint8Array(await readFile(join(this.#directory, ROSTER_FILE)));
  }

  get roster(): TrustedRoster {
    return this.#roster;
  }

  /**
   * Takes a roster, if it is the owner's and not older. Requests of those whom it revokes are refused from then on.
   *
   * @returns whether it is another one than before
   * @throws RefusedError `roster.*`; VerificationError `container.*`
   */
  async accept(file: Uint8Array): Promise<boolean> {
    const roster = await acceptRoster(this.#directory, file, { fleet: this.#roster.body.fleet });
    if (hex(roster.fingerprint) === hex(this.#roster.fingerprint)) return false;
    this.#roster = roster;
    this.keys.replace(roster.body);
    // Whoever was revoked is refused under earlier plans as well.
    this.#plans.clear();
    return true;
  }

  /**
   * Reads a plan under the roster that it names, with clients as they stand now.
   *
   * @throws RefusedError `plan.*`; VerificationError `container.*`
   */
  async plan(file: Uint8Array): Promise<TrustedPlan> {
    const container = await openContainer(file, 'plan');
    await container.close();
    const key = hex(container.fingerprint);
    const cached = this.#plans.get(key);
    if (cached !== undefined) return cached;
    const plan = await readPlanToServe(this.#directory, file, this.#roster);
    if (this.#plans.size >= MAX_CACHED_PLANS) this.#plans.delete(this.#plans.keys().next().value as string);
    this.#plans.set(key, plan);
    return plan;
  }
}
