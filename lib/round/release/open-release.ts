/** The client's side of a release: everything is checked before anything takes its place, and recorded after. */
import { type OfferedRelease, requireFollowedPolicy } from '../../custody/release/release-rules.js';
import type { ReleaseState } from '../../custody/release/release-state.js';
import { ownSlot } from '../../custody/release/wraps.js';
import { requireSameFleet } from '../../custody/roster.js';
import { withDirectoryLock } from '../../durable/directory-lock.js';
import type { ReleaseBody } from '../../package/messages/release.js';
import { type Container, openContainer } from '../../package/reader.js';
import { StagedAdapter } from './adapter-placement.js';
import { decryptRelease, type ReleaseOpener } from './decrypt-release.js';

export interface OpenReleaseOptions extends ReleaseOpener {
  readonly file: string | Uint8Array;
  readonly clientId: string;
  readonly state: ReleaseState;
  /** The policy that the release must be of: needed where the client follows several, or is to follow another one. */
  readonly policy?: string | undefined;
  /** The adapter directory to write. */
  readonly out: string;
  readonly now?: () => number;
}

export interface OpenedRelease {
  readonly body: ReleaseBody;
  /** Fingerprint of the release, 32 bytes. */
  readonly fingerprint: Uint8Array;
  /** Whether it was taken before, and has only been written again. */
  readonly again: boolean;
}

/**
 * Verifies a release, decrypts it beside `out`, checks what came out, puts it in place, and then records that it was taken.
 * What is refused leaves `out` and the record as they were. A crash, or a disk on which nothing can be recorded, leaves the
 * old record with the old adapter or the new one, and the release opens again; never a record of an adapter that is not
 * there. Calls of one client wait for each other.
 *
 * The adapter's files have mode 0600: what the cloud may not read is not for every user of the robot either.
 *
 * @throws VerificationError `container.*`, `hpke.open-failed`, `release.content-broken`, `release.wrong-content`
 * @throws RefusedError `release.older`, `release.equivocation`, `release.rolled-back`, `release.rollback-mismatch`,
 *   `release.other-policy`, `release.not-a-recipient`, `adapter.*`
 * @throws FormatError `container.*`, `roster.other-fleet`, `safetensors.*`; EnvironmentError `storage.*`
 */
export async function openRelease(options: OpenReleaseOptions): Promise<OpenedRelease> {
  const { roster, state } = options;
  const container = await openContainer(options.file, 'release');
  try {
    requireSameFleet(roster, container.body.fleet, 'release');
    await container.verify(roster.body.owner.keys, roster.body.signatureAlgorithms);
    return await withDirectoryLock(state.lockDirectory, () => take(container, options));
  } finally {
    await container.close();
  }
}

async function take(container: Container<'release'>, options: OpenReleaseOptions): Promise<OpenedRelease> {
  const { state, clientId } = options;
  const { body, fingerprint } = container;
  requireFollowedPolicy(body.policy, options.policy, state.policies(body.fleet));
  const offered: OfferedRelease = { ...body, release: fingerprint };
  const judged = state.judge(offered);
  const slot = ownSlot(body, clientId);
  const staged = await StagedAdapter.begin(options.out);
  try {
    await decryptRelease(container, slot, options, staged.directory);
    await staged.place();
  } catch (error) {
    await staged.discard();
    throw error;
  }
  state.record(offered, (options.now ?? Date.now)());
  await staged.finish();
  return { body, fingerprint, again: judged === 'again' };
}
