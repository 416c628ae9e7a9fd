/** Fetching the newest release into the directory that training and inference read. */
import { join } from 'node:path';
import { hex } from '../../custody/fields.js';
import { openReleaseState, type ReleaseState } from '../../custody/release/release-state.js';
import { openRole } from '../../custody/role-directory.js';
import { kemWithDigest } from '../../round/release/client-kem.js';
import { type OpenedRelease, openRelease } from '../../round/release/open-release.js';
import { type RolePolicyOptions, readRolePolicy } from '../../round/role-policy.js';
import type { AgentDirectory } from '../agent-directory.js';
import type { FleetApi } from '../api/fleet-api.js';
import { currentRoster } from '../roster-sync.js';
import { holdsAdapter } from './snapshots.js';

export interface ReleaseTakerOptions {
  readonly api: Pick<FleetApi, 'downloadRelease'>;
  readonly clientDirectory: string;
  readonly rolePolicy: RolePolicyOptions;
  /** The policy to follow; needed where the fleet has several. */
  readonly policy: string | undefined;
  /** Where the adapter is put, whole or not at all. */
  readonly releaseDirectory: string;
}

/**
 * Takes the newest release, if it is another than the one that was taken last.
 *
 * @throws as `openRelease` does; what the API throws
 */
export async function takeNewestRelease(
  options: ReleaseTakerOptions,
  directory: AgentDirectory,
): Promise<OpenedRelease | undefined> {
  const { api, clientDirectory, policy, releaseDirectory } = options;
  const state = await openReleaseState(clientDirectory);
  try {
    return await directory.withTemporary(async (temporary) => {
      const file = join(temporary, 'release.tgr');
      // An adapter that somebody removed is fetched again.
      const known = (await holdsAdapter(releaseDirectory))
        ? await newestTaken(state, clientDirectory, policy)
        : undefined;
      if (!(await api.downloadRelease(policy, known, file))) return undefined;
      return await open(options, file, state);
    });
  } finally {
    state.close();
  }
}

async function open(options: ReleaseTakerOptions, file: string, state: ReleaseState): Promise<OpenedRelease> {
  const { clientDirectory, policy, releaseDirectory: out } = options;
  const { policy: settings } = await readRolePolicy(clientDirectory, options.rolePolicy);
  const role = await openRole(clientDirectory, 'client');
  try {
    return await openRelease({
      file,
      roster: role.roster,
      clientId: role.id,
      kemFor: (digest, what) => kemWithDigest(role.store, digest, what),
      state,
      policy,
      peftTypes: settings.envelope.peftTypes,
      out,
    });
  } finally {
    role.close();
  }
}

async function newestTaken(
  state: ReleaseState,
  clientDirectory: string,
  policy: string | undefined,
): Promise<string | undefined> {
  const { fleet } = (await currentRoster(clientDirectory)).body;
  const taken = (policy === undefined ? state.policies(fleet) : [policy]).flatMap((each) =>
    state.taken(fleet, each),
  );
  const newest = taken.sort((a, b) => a.counter - b.counter).at(-1);
  return newest && hex(newest.release);
}
