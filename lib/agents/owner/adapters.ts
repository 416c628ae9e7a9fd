/**
 * Which adapter the fleet trains from: that of the newest release, among the averages that the agent wrote and the one that
 * it was given to begin with.
 */

import { hex } from '../../custody/fields.js';
import type { TrustedRoster } from '../../custody/roster.js';
import { RefusedError } from '../../errors.js';
import { adapterFingerprint } from '../../package/messages/release.js';
import { measureAdapter } from '../../round/release/adapter-files.js';
import { ReleaseRecords } from '../../round/release/release-records.js';
import { holdsAdapter } from '../robot/snapshots.js';
import type { OwnedRounds } from './round-records.js';

export interface OwnerAdapters {
  readonly ownerDirectory: string;
  /** What robots train from before there is a release; absent where their adapters are the deltas. */
  readonly base?: string | undefined;
  /** An adapter like those that robots send, to plan the first rounds by. */
  readonly like?: string | undefined;
}

export interface PlanningAdapters {
  readonly like: string;
  readonly base?: string;
}

/**
 * The adapter that the fleet trains from: what an average of deltas is added to.
 *
 * @returns undefined before the first release where there is no `base`
 * @throws RefusedError `owner.adapter-not-found`
 */
export async function currentAdapter(
  { ownerDirectory, base }: OwnerAdapters,
  rounds: OwnedRounds,
  roster: TrustedRoster,
  policy: string,
): Promise<string | undefined> {
  const newest = (await new ReleaseRecords(ownerDirectory).released(roster, policy)).at(-1);
  if (newest === undefined) return base;
  const found = await directoryOf(hex(newest.adapterFingerprint), base, rounds);
  if (found !== undefined) return found;
  throw new RefusedError(
    'owner.adapter-not-found',
    `Release ${newest.counter} has an adapter that is neither an average below --out-dir nor that of --base, and the next ` +
      'average is added to it. Start the agent with --base and the directory that was released.',
  );
}

/** The directory of an adapter: one of the averages, or the one that the agent was given to begin with. */
export async function directoryOf(
  fingerprint: string,
  base: string | undefined,
  rounds: OwnedRounds,
): Promise<string | undefined> {
  const written = (await rounds.list())
    .sort((a, b) => b.round - a.round)
    .flatMap(({ out }) => (out === undefined ? [] : [out]));
  for (const directory of [...written, ...(base === undefined ? [] : [base])]) {
    if (!(await holdsAdapter(directory))) continue;
    if (hex(adapterFingerprint(await measureAdapter(directory))) === fingerprint) return directory;
  }
  return undefined;
}

/**
 * What to plan by: the last step that the fleet took, once there is one.
 *
 * @throws RefusedError `owner.no-like`
 */
export async function planningAdapters(
  adapters: OwnerAdapters,
  rounds: OwnedRounds,
  roster: TrustedRoster,
  policy: string,
): Promise<PlanningAdapters> {
  const current = await currentAdapter(adapters, rounds, roster, policy);
  const step = (await rounds.list()).find(({ out }) => out !== undefined && out === current);
  if (current !== undefined && step !== undefined) {
    return { like: current, ...(step.base !== undefined && { base: step.base }) };
  }
  const { like, base } = adapters;
  if (like !== undefined) return { like, ...(base !== undefined && { base }) };
  if (base !== undefined) return { like: base };
  throw new RefusedError(
    'owner.no-like',
    'There is nothing to plan the first round by. Start the agent with --like and an adapter like those that robots send.',
  );
}
