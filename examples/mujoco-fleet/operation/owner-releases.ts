/** The owner's part of a release: encrypted once, its key sealed to every robot. */
import { hex } from '../../../lib/custody/fields.js';
import { createRelease, readTrustedPlan } from '../../../lib/index.js';
import type { ReleaseReference } from '../../../lib/package/release-reference.js';
import { openOwner } from '../../../lib/round/owner-directory.js';
import { activeRecipients } from '../../../lib/round/release/recipients.js';
import { ReleaseRecords } from '../../../lib/round/release/release-records.js';
import { POLICY_NAME, ROLE_OPTIONS } from '../fleet/encrypted-fleet.js';

export interface ReleaseRequest {
  readonly ownerDirectory: string;
  /** Directory. */
  readonly adapter: string;
  /** Of the round that the adapter came from; absent for the first release, which came from none, and for rollbacks. */
  readonly planFile?: string | undefined;
  /** Counter of the release whose adapter comes back. */
  readonly rollbackTo?: number | undefined;
  /** The file to write. */
  readonly out: string;
}

export interface SealedRelease {
  readonly release: ReleaseReference;
  /** The clients that can open it. */
  readonly recipients: readonly string[];
  /** Fingerprints of the adapters that it withdraws; none unless it is a rollback. */
  readonly withdrawn: readonly string[];
  readonly file: string;
}

export async function sealRelease(request: ReleaseRequest): Promise<SealedRelease> {
  const { ownerDirectory, adapter, planFile, rollbackTo, out } = request;
  const { owner, role } = await openOwner(ownerDirectory, ROLE_OPTIONS);
  try {
    const { roster } = role;
    const { body } = await createRelease({
      signing: owner.signing,
      records: new ReleaseRecords(ownerDirectory),
      roster,
      policy: POLICY_NAME,
      adapter,
      recipients: await activeRecipients(ownerDirectory, roster),
      plan: planFile === undefined ? undefined : await readTrustedPlan(planFile, roster),
      rollbackTo,
      out,
    });
    const { counter, adapterFingerprint, recipients, rollback } = body;
    return {
      release: { counter, adapterFingerprint: hex(adapterFingerprint) },
      recipients: recipients.map(({ client }) => client),
      withdrawn: (rollback?.withdrawn ?? []).map((fingerprint) => hex(fingerprint)),
      file: out,
    };
  } finally {
    role.close();
  }
}
