/** The owner's directory, opened for opening and closing rounds. */
import { hex } from '../custody/fields.js';
import { type OpenedRole, openRole } from '../custody/role-directory.js';
import { RefusedError } from '../errors.js';
import type { OwnerIdentity } from './open-round.js';
import { type RolePolicyOptions, readRolePolicy } from './role-policy.js';
import { RoundRecords } from './round-records.js';

/** The caller closes `role`. */
export async function openOwner(
  directory: string,
  options: RolePolicyOptions = {},
): Promise<{ readonly owner: OwnerIdentity; readonly role: OpenedRole }> {
  const { policy } = await readRolePolicy(directory, options);
  const role = await openRole(directory, 'owner');
  const { signing, store } = role;
  const owner: OwnerIdentity = {
    signing,
    records: new RoundRecords(directory),
    policy,
    kemKey: async (publicKey, what) => {
      const key = store.kemWith(publicKey);
      if (key !== undefined) return store.kem(key.name, what);
      throw new RefusedError(
        'key.unknown',
        `${directory} does not hold the owner's key that the roster lists (${hex(publicKey.subarray(0, 8))}...).`,
      );
    },
  };
  return { owner, role };
}
