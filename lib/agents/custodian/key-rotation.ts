/** Moving a custodian to the key of the next epoch in time: the key is made here, and waits for a roster that lists it. */
import { rotate, rotationState } from '../../custody/keys/rotation.js';
import { openKeyStore } from '../../custody/role-directory.js';
import { pinnedOwner } from '../../custody/roster-pin.js';
import { writeEnrolment } from '../../round/enrolment/set-up-member.js';
import { type RolePolicyOptions, readRolePolicy } from '../../round/role-policy.js';

export interface RotatedKey {
  readonly key: string;
  /** False where it was made before. */
  readonly made: boolean;
  /** The request to enrol it (`.tge`). */
  readonly enrolment: Uint8Array;
}

/**
 * What `keys rotate --if-due` does.
 *
 * @returns undefined where no key is due, and none waits
 * @throws RefusedError `key.*`; `wrapper.*`
 */
export async function rotateIfDue(
  directory: string,
  rolePolicy: RolePolicyOptions,
  nowMs: number,
): Promise<RotatedKey | undefined> {
  const { keyRotationHours } = (await readRolePolicy(directory, rolePolicy)).policy.encryption;
  const store = await openKeyStore(directory, 'custodian');
  try {
    const { dueAtMs, pending } = rotationState(store, keyRotationHours);
    if (!pending && dueAtMs > nowMs) return undefined;
    const { key, made } = await rotate(store);
    const enrolment = await writeEnrolment(store, { ownerKeyId: await pinnedOwner(directory) });
    return { key: key.name, made, enrolment };
  } finally {
    store.close();
  }
}
