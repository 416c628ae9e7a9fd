/**
 * The recovery copy of a key: its secret, sealed to the officers' recovery key and bound to what it is the secret of. Once
 * the wrapped copy is shredded, only the officers together open it.
 *
 * One seed opens every copy of its set. That break-glass serves one key and one round is the doing of the program that
 * holds the seed, not of this encryption: after each use the set is spent, and a new recovery key takes its place.
 *
 * Anybody can seal to a public key, so a copy that opens need not be one that the key store made. Whoever opens it compares
 * the secret with the public key that it belongs to.
 */
import { ParameterError, TensorGuardError, VerificationError } from '../../errors.js';
import { encodeFields } from '../fields.js';
import { openSealed, sealTo } from '../hpke.js';
import { SecretBytes } from '../secret-bytes.js';
import type { RecoveryDescription, RecoveryOwner } from './recovery-description.js';

/** Which secret a copy is of. */
export interface RecoveryBinding extends RecoveryOwner {
  readonly keyName: string;
  readonly epoch: number;
}

/**
 * Seals a secret to the recovery key.
 *
 * @returns encapsulated key (1120 bytes) || ciphertext || tag (16 bytes)
 * @throws ParameterError `break-glass.other-owner`, `field.bad-text`, `field.bad-integer`, `hpke.bad-public-key`
 */
export async function sealRecoveryCopy(
  description: RecoveryDescription,
  binding: RecoveryBinding,
  secret: SecretBytes,
): Promise<Uint8Array> {
  requireOwner(description, binding);
  const info = recoveryInfo(description, binding);
  // Sealing suspends before it reads the plaintext: a secret wiped meanwhile would be sealed as zeros.
  const plaintext = secret.use((bytes) => Uint8Array.from(bytes));
  try {
    return await sealTo(description.kemPublicKey, info, plaintext);
  } finally {
    plaintext.fill(0);
  }
}

/**
 * Opens what `sealRecoveryCopy` made under the same binding. The caller wipes the result.
 *
 * @param recoverySeed from `combineShares`
 * @throws VerificationError `break-glass.bad-copy`, the same for every cause
 * @throws ParameterError `break-glass.other-owner`, `field.bad-text`, `field.bad-integer`, `hpke.bad-private-key`
 */
export async function openRecoveryCopy(
  description: RecoveryDescription,
  recoverySeed: SecretBytes,
  binding: RecoveryBinding,
  copy: Uint8Array,
): Promise<SecretBytes> {
  requireOwner(description, binding);
  const info = recoveryInfo(description, binding);
  try {
    return new SecretBytes(await recoverySeed.use((seed) => openSealed(seed, info, copy)));
  } catch (error) {
    if (error instanceof TensorGuardError && error.code === 'hpke.open-failed') throw badCopy(binding);
    throw error;
  }
}

function recoveryInfo({ setId }: RecoveryDescription, binding: RecoveryBinding): Uint8Array {
  return encodeFields('tensorguard-native v1 recovery copy', [
    ['recovery set', setId],
    ['fleet', binding.fleet],
    ['role', binding.role],
    ['id', binding.id],
    ['key', binding.keyName],
    ['epoch', binding.epoch],
  ]);
}

function requireOwner(description: RecoveryDescription, binding: RecoveryBinding): void {
  for (const field of ['fleet', 'role', 'id'] as const) {
    if (description[field] !== binding[field]) {
      throw new ParameterError(
        'break-glass.other-owner',
        `Key "${binding.keyName}" has ${field} "${binding[field]}", and recovery set ${description.setId} is for ${field} ` +
          `"${description[field]}". Use the recovery set of the key's own role.`,
      );
    }
  }
}

function badCopy({ keyName }: RecoveryBinding): VerificationError {
  return new VerificationError(
    'break-glass.bad-copy',
    `The recovery copy of key "${keyName}" does not open: it was changed, is of another key, or was sealed under another ` +
      'recovery set. Restore the file from an export, and use the shares of the set that it names.',
  );
}
