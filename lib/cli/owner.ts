/** The owner's directory, as `open` and `close` use it. */
import { openRole } from '../custody/role-directory.js';
import type { TrustedRoster } from '../custody/roster.js';
import { FormatError } from '../errors.js';
import type { OwnerIdentity } from '../round/open-round.js';
import { type RolePolicyOptions, readRolePolicy } from '../round/role-policy.js';
import { RoundRecords } from '../round/round-records.js';

export async function openOwner(
  directory: string,
  options: RolePolicyOptions = {},
): Promise<{ readonly owner: OwnerIdentity; readonly roster: TrustedRoster }> {
  const { keys, signing, roster } = await openRole(directory, 'owner');
  const kem = keys.kem.at(-1);
  if (kem === undefined) {
    throw new FormatError('key.malformed', `The key file in ${directory} has no KEM key.`);
  }
  const { policy } = await readRolePolicy(directory, options);
  return { owner: { signing, kem: kem.seed, records: new RoundRecords(directory), policy }, roster };
}
