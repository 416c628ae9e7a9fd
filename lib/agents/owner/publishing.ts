/** What the owner signed reaches the service: rosters and releases, whoever made them and whatever the service has lost. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hex } from '../../custody/fields.js';
import { readPlanToFinish } from '../../custody/role-plan.js';
import { ROSTER_FILE } from '../../custody/roster-archive.js';
import { errorCode } from '../../durable/private-files.js';
import type { ReleaseBody } from '../../package/messages/release.js';
import { openOwner } from '../../round/owner-directory.js';
import { createRelease } from '../../round/release/create-release.js';
import { activeRecipients } from '../../round/release/recipients.js';
import { ReleaseRecords } from '../../round/release/release-records.js';
import type { RolePolicyOptions } from '../../round/role-policy.js';
import type { FleetApi } from '../api/fleet-api.js';
import { currentRoster, rosterFingerprint } from '../roster-sync.js';

export type PublishingApi = Pick<FleetApi, 'putRoster' | 'putRelease' | 'putVerdict' | 'startRollout'>;

/** Remembers in memory what it has published: after a restart it is published again, which changes nothing. */
export class Publisher {
  #roster: string | undefined;
  #releasesMs: number | undefined;

  constructor(
    private readonly api: PublishingApi,
    private readonly ownerDirectory: string,
    private readonly policy: string,
  ) {}

  /** @returns whether there was one to publish */
  async publishRoster(): Promise<boolean> {
    const fingerprint = await rosterFingerprint(this.ownerDirectory);
    if (fingerprint === this.#roster) return false;
    await this.api.putRoster(Uint8Array.from(await readFile(join(this.ownerDirectory, ROSTER_FILE))));
    this.#roster = fingerprint;
    return true;
  }

  /** Publishes the newest release that the owner's records keep. @returns its counter, if there was one to publish */
  async publishNewestRelease(): Promise<number | undefined> {
    const changedMs = await changeOf(join(this.ownerDirectory, 'releases'));
    if (changedMs === undefined || changedMs === this.#releasesMs) return undefined;
    const newest = (await this.#released()).at(-1);
    if (newest !== undefined) await this.publish(newest.counter);
    this.#releasesMs = changedMs;
    return newest?.counter;
  }

  async publish(counter: number): Promise<void> {
    await this.api.putRelease(counter, new ReleaseRecords(this.ownerDirectory).path(counter));
  }

  /** The release that was made of a round, if there is one. */
  async releaseOf(plan: string): Promise<ReleaseBody | undefined> {
    return (await this.#released()).find(({ round }) => round !== undefined && hex(round.plan) === plan);
  }

  /** In order of their counters. */
  released(): Promise<ReleaseBody[]> {
    return this.#released();
  }

  async #released(): Promise<ReleaseBody[]> {
    const roster = await currentRoster(this.ownerDirectory);
    return new ReleaseRecords(this.ownerDirectory).released(roster, this.policy);
  }
}

async function changeOf(directory: string): Promise<number | undefined> {
  try {
    return (await stat(directory)).mtimeMs;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export interface RollbackRelease {
  readonly ownerDirectory: string;
  readonly rolePolicy: RolePolicyOptions;
  readonly policy: string;
  /** Counter of the release to go back to. */
  readonly to: number;
  /** Directory of its adapter. */
  readonly adapter: string;
  readonly out: string;
}

/** Signs a release that goes back, for all active clients. @returns the counter. @throws as `createRelease` */
export async function releaseRollback(request: RollbackRelease): Promise<number> {
  const { ownerDirectory, rolePolicy, policy, to, adapter, out } = request;
  const { owner, role } = await openOwner(ownerDirectory, rolePolicy);
  try {
    const { body } = await createRelease({
      signing: owner.signing,
      records: new ReleaseRecords(ownerDirectory),
      roster: role.roster,
      ...{ policy, adapter, out, rollbackTo: to },
      recipients: await activeRecipients(ownerDirectory, role.roster),
      peftTypes: owner.policy.envelope.peftTypes,
    });
    return body.counter;
  } finally {
    role.close();
  }
}

export interface ReleaseOfRound {
  readonly ownerDirectory: string;
  readonly rolePolicy: RolePolicyOptions;
  readonly plan: Uint8Array;
  /** Directory of the average. */
  readonly adapter: string;
  /** A file that is not needed afterwards: the owner's records keep the release. */
  readonly out: string;
}

/** Releases the average of a round to all active clients. @returns the counter. @throws as `createRelease` */
export async function releaseRound(request: ReleaseOfRound): Promise<number> {
  const { ownerDirectory, rolePolicy, adapter, out } = request;
  const { owner, role } = await openOwner(ownerDirectory, rolePolicy);
  try {
    const plan = await readPlanToFinish(ownerDirectory, request.plan, role.roster);
    const { body } = await createRelease({
      signing: owner.signing,
      records: new ReleaseRecords(ownerDirectory),
      roster: role.roster,
      policy: plan.body.policy,
      adapter,
      recipients: await activeRecipients(ownerDirectory, role.roster),
      peftTypes: owner.policy.envelope.peftTypes,
      plan,
      out,
    });
    return body.counter;
  } finally {
    role.close();
  }
}
