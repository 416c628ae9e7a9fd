/** Copies of KEM secrets that the officers of a recovery set can open together, and nobody else. */
import { type RecoveryBinding, sealRecoveryCopy } from '../break-glass/recovery-copy.js';
import {
  decodeRecoveryDescription,
  type RecoveryDescription,
  recoveryDescriptionDigest,
} from '../break-glass/recovery-description.js';
import { hex } from '../fields.js';
import type { SecretBytes } from '../secret-bytes.js';
import { isSignedEntry } from './audit-verification.js';
import { corrupt, recoveryRow } from './key-rows.js';
import type { KeyVault, WrappedSecret } from './key-vault.js';

/**
 * Who the officers are, where there are any. Whoever could exchange the public key would open every later copy, so the
 * description is held against the audit entry that it was set up with.
 *
 * @throws VerificationError `key.store-corrupt`
 */
export async function recoveryDescription(vault: KeyVault): Promise<RecoveryDescription | undefined> {
  const row = vault.database.get(recoveryRow, 'SELECT description, entry FROM recovery');
  if (row === undefined) return undefined;
  const description = decodeRecoveryDescription(row.description);
  const [before, entry] = vault.trail.pair(row.entry);
  const same =
    entry?.kind === 'recovery' &&
    entry.detail['description'] === hex(recoveryDescriptionDigest(description)) &&
    // The trail lies in the same file: without its signature it would prove nothing.
    (await isSignedEntry(before, entry, vault.identity.publicKeys));
  if (!same) throw corrupt("the officers' recovery key is not the one that the audit trail has");
  return description;
}

/** Which set-up of officers counts: the entry that it was recorded with. */
export function recoveryEntry(vault: KeyVault): number | undefined {
  return vault.database.get(recoveryRow, 'SELECT description, entry FROM recovery')?.entry;
}

export function recoveryBinding(
  vault: KeyVault,
  key: { readonly name: string; readonly epoch: number | null | undefined },
): RecoveryBinding {
  const { fleet, role, id } = vault.identity;
  return { fleet, role, id, keyName: key.name, epoch: key.epoch ?? 0 };
}

/** The copy of a KEM secret for the officers; undefined where there are none. */
export async function sealRecovery(
  vault: KeyVault,
  key: { readonly name: string; readonly epoch: number | null | undefined },
  secret: SecretBytes,
  officers?: RecoveryDescription,
): Promise<WrappedSecret | undefined> {
  const to = officers ?? (await recoveryDescription(vault));
  if (to === undefined) return undefined;
  const blob = await sealRecoveryCopy(to, recoveryBinding(vault, key), secret);
  return { wrapper: `recovery:${to.setId}`, blob };
}
