/**
 * When keys have had their time: once every round that could need them has the owner's close record. Of an epoch of the
 * custodians' keys the next roster says so, and custodians destroy them; the owner's own are destroyed here.
 */
import { hex, sameBytes } from '../../custody/fields.js';
import { openKeyStore, openRole } from '../../custody/role-directory.js';
import type { TrustedRoster } from '../../custody/roster.js';
import { supersededRoster } from '../../custody/roster-archive.js';
import type { PlanBody } from '../../package/messages/plan.js';
import { issueRoster } from '../../round/enrolment/issue-roster.js';
import { currentRoster } from '../roster-sync.js';
import { type OpenPlansApi, openPlans } from './open-plans.js';
import type { OwnedRounds } from './round-records.js';

export interface EndedKeys {
  /** The oldest epoch that the new roster leaves open, where there is one. */
  readonly oldestOpenEpoch?: number;
  /** Names of the owner's keys that were destroyed. */
  readonly destroyed: readonly string[];
  /** Plans for the sake of which nothing was ended, since they cannot be read. */
  readonly unreadable: readonly string[];
}

/**
 * Ends what no open round needs.
 *
 * @throws as `issueRoster`, `openRole` and `openPlans` do
 */
export async function endUnneededKeys(
  ownerDirectory: string,
  api: OpenPlansApi,
  rounds: OwnedRounds,
): Promise<EndedKeys> {
  const roster = await currentRoster(ownerDirectory);
  const { custodians, oldestOpenEpoch = 1 } = roster.body;
  const current = Math.max(...custodians.map(({ epoch }) => epoch));
  const retired = await retiredKeys(ownerDirectory);
  if (oldestOpenEpoch >= current && retired.length === 0) return { destroyed: [], unreadable: [] };
  const { open, unreadable } = await openPlans(ownerDirectory, roster, api, rounds);
  if (unreadable.length > 0) return { destroyed: [], unreadable };
  const destroyed = await destroyUnlisted(ownerDirectory, roster, open);
  const least = Math.min(current, ...open.map(({ keyEpoch }) => keyEpoch));
  if (least <= oldestOpenEpoch) return { destroyed, unreadable };
  return {
    destroyed,
    unreadable,
    ...((await endEpochsBefore(ownerDirectory, least)) && { oldestOpenEpoch: least }),
  };
}

async function endEpochsBefore(ownerDirectory: string, oldestOpenEpoch: number): Promise<boolean> {
  const owner = await openRole(ownerDirectory, 'owner');
  try {
    const { changed } = await issueRoster({
      ownerDirectory,
      signing: owner.signing,
      changes: { oldestOpenEpoch },
      accepting: ({ body: { version }, fingerprint }) =>
        owner.store.record('roster', { version, fingerprint: hex(fingerprint) }),
    });
    return changed;
  } finally {
    owner.close();
  }
}

/** The owner's KEM keys that a roster has replaced. */
async function retiredKeys(ownerDirectory: string): Promise<readonly string[]> {
  const store = await openKeyStore(ownerDirectory, 'owner');
  try {
    return store.keys().flatMap(({ name, epoch, state }) => (epoch && state === 'deactivated' ? [name] : []));
  } finally {
    store.close();
  }
}

/** Destroys those that the roster of no open round lists. */
async function destroyUnlisted(
  ownerDirectory: string,
  newest: TrustedRoster,
  open: readonly PlanBody[],
): Promise<readonly string[]> {
  const listed = [newest.body.owner.kem];
  for (const { rosterVersion, rosterFingerprint } of open) {
    if (sameBytes(rosterFingerprint, newest.fingerprint)) continue;
    const roster = await supersededRoster(
      ownerDirectory,
      newest.ownerKeyId,
      rosterVersion,
      rosterFingerprint,
    );
    if (roster === undefined) return [];
    listed.push(roster.body.owner.kem);
  }
  const destroyed: string[] = [];
  const store = await openKeyStore(ownerDirectory, 'owner');
  try {
    for (const { name, state, publicKey } of store.keys()) {
      if (state !== 'deactivated' || publicKey === undefined) continue;
      if (listed.some((kem) => sameBytes(kem, publicKey))) continue;
      await store.destroy(name, 'every round whose roster listed it is closed');
      destroyed.push(name);
    }
  } finally {
    store.close();
  }
  return destroyed;
}
