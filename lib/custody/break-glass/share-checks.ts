/**
 * What tells a sound share from a corrupt one. Shamir's scheme does not: from any shares it recombines something.
 *
 * A commitment names a corrupt share before anything is recombined, and shows that whoever has a share is that officer.
 * It is a plain hash, which hides a share only because a share has 256 bits of entropy. A tag needs the recovery seed, so
 * nobody who changes shares and commitments together can make it. Both cover the terms of the recovery key.
 */
import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { encodeFields } from '../fields.js';
import type { SecretBytes } from '../secret-bytes.js';
import type { RecoveryOfficer } from './recovery-description.js';

const MAC_KEY_BYTES = 32;

/** A share together with what it is checked under. */
export interface CheckedShare {
  /** `recoveryTermsDigest`, 32 bytes. */
  readonly terms: Uint8Array;
  readonly officer: string;
  readonly share: SecretBytes;
}

/** 32 bytes. */
export function shareCommitment({ terms, officer, share }: CheckedShare): Uint8Array {
  const context = encodeFields('tensorguard-native v1 officer share commitment', [
    ['terms', terms],
    ['officer', officer],
  ]);
  // The share comes last and unframed: as a field it would be copied into Node's shared buffer pool. Two fields are
  // always before it, so the bytes still have one parse.
  return share.use((bytes) => new Uint8Array(createHash('sha256').update(context).update(bytes).digest()));
}

/** The tags of shares (32 bytes each), under a key that is derived from the recovery seed and wiped before this returns. */
export function shareTags(
  seed: SecretBytes,
  setId: string,
  shares: readonly CheckedShare[],
): readonly Uint8Array[] {
  const info = encodeFields('tensorguard-native v1 officer share MAC key', [['recovery set', setId]]);
  const key = new Uint8Array(seed.use((bytes) => hkdfSync('sha256', bytes, '', info, MAC_KEY_BYTES)));
  try {
    return shares.map((share) => shareTag(key, share));
  } finally {
    key.fill(0);
  }
}

/** Whether a share is the one that its officer was given, under the terms that were then agreed. */
export function commitmentHolds(officer: RecoveryOfficer, share: CheckedShare): boolean {
  return equalInConstantTime(shareCommitment(share), officer.commitment);
}

/** Whether two byte strings are equal, without saying where they differ. Their lengths are public. */
export function equalInConstantTime(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}

function shareTag(key: Uint8Array, { terms, officer, share }: CheckedShare): Uint8Array {
  const context = encodeFields('tensorguard-native v1 officer share tag', [
    ['terms', terms],
    ['officer', officer],
  ]);
  return share.use(
    (bytes) => new Uint8Array(createHmac('sha256', key).update(context).update(bytes).digest()),
  );
}
