/**
 * Which release may follow which: a counter that only grows, one release a counter, and an adapter that was rolled back
 * from comes back only by a rollback that names it. The owner keeps to this when it makes a release, every client when it
 * takes one, each by its own record.
 */
import { RefusedError } from '../../errors.js';
import { hex, sameBytes } from '../fields.js';

export interface Rollback {
  /** The counter of the release whose adapter comes back. */
  readonly to: number;
  /** Fingerprints, 32 bytes each, of the adapters that are given up. */
  readonly withdrawn: readonly Uint8Array[];
}

/** What a release says about itself. */
export interface ReleaseFacts {
  readonly counter: number;
  /** Fingerprint of the adapter, 32 bytes. */
  readonly adapterFingerprint: Uint8Array;
  readonly rollback?: Rollback | undefined;
}

/** A release of a policy, by its signed file. */
export interface OfferedRelease extends ReleaseFacts {
  readonly fleet: string;
  readonly policy: string;
  /** Fingerprint of the file, 32 bytes. */
  readonly release: Uint8Array;
}

export interface KnownRelease {
  readonly counter: number;
  readonly release: Uint8Array;
  readonly adapterFingerprint: Uint8Array;
}

/** What is known of a policy's earlier releases. */
export interface ReleaseHistory {
  /** The one with the highest counter. */
  latest(): KnownRelease | undefined;
  withCounter(counter: number): KnownRelease | undefined;
  isWithdrawn(adapterFingerprint: Uint8Array): boolean;
}

/**
 * Whether a release, whose signature the caller has verified, may be taken: 'new', or 'again' where it is the latest one
 * that was.
 *
 * @throws RefusedError `release.older`, `release.equivocation`, `release.rolled-back`, `release.rollback-mismatch`
 */
export function judgeRelease(offered: OfferedRelease, history: ReleaseHistory): 'new' | 'again' {
  const latest = history.latest();
  if (latest !== undefined && offered.counter < latest.counter) {
    throw new RefusedError(
      'release.older',
      `The release has counter ${offered.counter}; ${latest.counter} was taken before, and counters only grow. Fetch the ` +
        'current release. To go back to an older adapter, the owner makes a rollback, which has a new counter.',
    );
  }
  if (latest?.counter === offered.counter) {
    if (sameBytes(latest.release, offered.release)) return 'again';
    throw new RefusedError(
      'release.equivocation',
      `There are two releases with counter ${offered.counter} of policy "${offered.policy}": ${hex(latest.release)} was ` +
        `taken, ${hex(offered.release)} is offered. Use neither; show both to the owner.`,
    );
  }
  if (offered.rollback === undefined) {
    requireNotWithdrawn(offered, history);
  } else {
    requireKnownAdapter(offered, offered.rollback, history);
  }
  return 'new';
}

/** @throws RefusedError `release.rolled-back` */
export function requireNotWithdrawn(
  release: ReleaseFacts,
  history: Pick<ReleaseHistory, 'isWithdrawn'>,
): void {
  if (!history.isWithdrawn(release.adapterFingerprint)) return;
  throw new RefusedError(
    'release.rolled-back',
    `Release ${release.counter} carries adapter ${hex(release.adapterFingerprint)}, which an earlier release rolled back ` +
      'from. If it shall come back, the owner makes a rollback to the release that had it.',
  );
}

/**
 * A rollback that names a release says which adapter that was; where it is known, it must be the one that comes back. Where
 * it is not (the robot was off, or not enrolled) the owner's word is enough: refusing would leave the robot on exactly the
 * adapter that is withdrawn.
 */
function requireKnownAdapter(offered: OfferedRelease, rollback: Rollback, history: ReleaseHistory): void {
  const target = history.withCounter(rollback.to);
  if (target === undefined || sameBytes(target.adapterFingerprint, offered.adapterFingerprint)) return;
  throw new RefusedError(
    'release.rollback-mismatch',
    `Release ${offered.counter} says that it goes back to release ${rollback.to}, which had adapter ` +
      `${hex(target.adapterFingerprint)}, and carries ${hex(offered.adapterFingerprint)}. Show it to the owner.`,
  );
}

/** The adapters that releases, in order of their counters, have rolled back from and not returned to: hex fingerprints. */
export function withdrawnAdapters(releases: Iterable<ReleaseFacts>): Set<string> {
  const withdrawn = new Set<string>();
  for (const { adapterFingerprint, rollback } of releases) {
    if (rollback === undefined) continue;
    for (const adapter of rollback.withdrawn) withdrawn.add(hex(adapter));
    withdrawn.delete(hex(adapterFingerprint));
  }
  return withdrawn;
}

/**
 * The policy whose releases a client takes: the one it is told, or the only one it has followed so far. A client that
 * follows one is not moved to another by whoever serves it a file.
 *
 * @param followed the policies that the client has taken releases of
 * @throws RefusedError `release.other-policy`
 */
export function requireFollowedPolicy(
  offered: string,
  named: string | undefined,
  followed: readonly string[],
): void {
  const [only, ...others] = followed;
  const expected = named ?? (others.length === 0 ? (only ?? offered) : undefined);
  if (expected === offered) return;
  throw new RefusedError(
    'release.other-policy',
    expected === undefined
      ? `This client follows the policies ${followed.join(', ')}; name the one whose release this must be.`
      : `This is a release of policy "${offered}", and one of "${expected}" is expected. If the client is to follow ` +
          `"${offered}" as well, name that policy.`,
  );
}
