/**
 * Looking into a release without taking it: a client that compares releases does not follow them. Older ones open, and
 * withdrawn ones; whether a release may be run is not asked, so what comes out is for the eye and not for a robot.
 */
import { ownSlot } from '../../custody/release/wraps.js';
import { requireSameFleet } from '../../custody/roster.js';
import type { ReleaseBody } from '../../package/messages/release.js';
import { openContainer } from '../../package/reader.js';
import { decryptRelease, type ReleaseOpener } from './decrypt-release.js';

export interface LookIntoReleaseOptions extends ReleaseOpener {
  readonly file: string;
  readonly clientId: string;
  /** An empty directory of mode 0700; the caller removes it. */
  readonly directory: string;
}

/**
 * Verifies a release and decrypts its adapter into `directory`. The client's record of releases is neither read nor moved.
 *
 * @throws VerificationError `container.*`, `hpke.open-failed`, `release.content-broken`, `release.wrong-content`
 * @throws RefusedError `release.not-a-recipient`, `adapter.*`
 * @throws FormatError `container.*`, `roster.other-fleet`, `safetensors.*`
 */
export async function lookIntoRelease(options: LookIntoReleaseOptions): Promise<ReleaseBody> {
  const { roster, file, clientId, directory } = options;
  const container = await openContainer(file, 'release');
  try {
    requireSameFleet(roster, container.body.fleet, 'release');
    await container.verify(roster.body.owner.keys, roster.body.signatureAlgorithms);
    await decryptRelease(container, ownSlot(container.body, clientId), options, directory);
    return container.body;
  } finally {
    await container.close();
  }
}
