/** The content key of a release, sealed to every recipient: one slot of fixed length each. */
import { RefusedError } from '../../errors.js';
import { sha256 } from '../../package/digests.js';
import { RELEASE_WRAP_BYTES, type ReleaseBody } from '../../package/messages/release.js';
import { encodeFields, requireBytes32 } from '../fields.js';
import { openSealed, sealTo } from '../hpke.js';
import { SecretBytes } from '../secret-bytes.js';
import type { ReleaseName } from './payload-cipher.js';

export interface WrapBinding extends ReleaseName {
  readonly client: string;
  /** Digest of the client's KEM key, 32 bytes: {@link kemDigest}. */
  readonly kem: Uint8Array;
  /** What is released, 32 bytes. */
  readonly adapterFingerprint: Uint8Array;
  /** Hash of the owner's signing keys, 32 bytes. */
  readonly ownerKeyId: Uint8Array;
}

/** What names a KEM key in a release: SHA-256 of the public key, 32 bytes. */
export function kemDigest(kemPublicKey: Uint8Array): Uint8Array {
  return sha256(kemPublicKey);
}

/**
 * The `info` under which the owner seals a release's content key to one client. The client computes it from the verified
 * header and its own identity: a wrap that was moved to another slot or into another release does not open.
 *
 * @throws ParameterError `field.bad-text`, `field.bad-integer`, `field.bad-bytes`
 */
export function wrapInfo(binding: WrapBinding): Uint8Array {
  requireBytes32('KEM key digest', binding.kem);
  requireBytes32('adapter fingerprint', binding.adapterFingerprint);
  requireBytes32('owner key id', binding.ownerKeyId);
  return encodeFields('tensorguard-native v1 release', [
    ['fleet', binding.fleet],
    ['policy', binding.policy],
    ['counter', binding.counter],
    ['client', binding.client],
    ['KEM key digest', binding.kem],
    ['adapter fingerprint', binding.adapterFingerprint],
    ['owner key id', binding.ownerKeyId],
  ]);
}

export type WrappedRelease = Pick<
  ReleaseBody,
  'fleet' | 'policy' | 'counter' | 'recipients' | 'adapterFingerprint'
>;

function bindingOf(release: WrappedRelease, ownerKeyId: Uint8Array, slot: number): WrapBinding {
  const { fleet, policy, counter, adapterFingerprint } = release;
  const { client, kem } = release.recipients[slot] as WrappedRelease['recipients'][number];
  return { fleet, policy, counter, client, kem, adapterFingerprint, ownerKeyId };
}

/**
 * The section `wraps`: the content key sealed to each recipient, in their order.
 *
 * @param kemKeys public KEM keys by client, 1216 bytes each, whose digests the recipients list
 */
export async function sealWraps(
  release: WrappedRelease,
  ownerKeyId: Uint8Array,
  kemKeys: ReadonlyMap<string, Uint8Array>,
  contentKey: SecretBytes,
): Promise<Uint8Array> {
  const section = new Uint8Array(release.recipients.length * RELEASE_WRAP_BYTES);
  for (const [slot, { client }] of release.recipients.entries()) {
    const info = wrapInfo(bindingOf(release, ownerKeyId, slot));
    const sealed = await contentKey.use((key) => sealTo(kemKeys.get(client) as Uint8Array, info, key));
    section.set(sealed, slot * RELEASE_WRAP_BYTES);
  }
  return section;
}

/**
 * Which slot of a release is this client's.
 *
 * @throws RefusedError `release.not-a-recipient`
 */
export function ownSlot(release: WrappedRelease, client: string): number {
  const slot = release.recipients.findIndex((recipient) => recipient.client === client);
  if (slot < 0) {
    throw new RefusedError(
      'release.not-a-recipient',
      `Release ${release.counter} is not sealed to client "${client}": it was not active, or not yet enrolled, when the ` +
        'owner made it. Wait for the next release, or ask the owner.',
    );
  }
  return slot;
}

/** Cuts one wrap out of a stream of the section, all of which is read and so verified; holds a piece of it at a time. */
export async function readWrap(section: AsyncIterable<Uint8Array>, slot: number): Promise<Uint8Array> {
  const wrap = new Uint8Array(RELEASE_WRAP_BYTES);
  const start = slot * RELEASE_WRAP_BYTES;
  let position = 0;
  for await (const piece of section) {
    const from = Math.max(start - position, 0);
    const part = piece.subarray(from, Math.max(start + RELEASE_WRAP_BYTES - position, 0));
    if (part.length > 0) wrap.set(part, position + from - start);
    position += piece.length;
  }
  return wrap;
}

/**
 * Opens a client's wrap to the content key, which the caller wipes.
 *
 * @param kemSeed the private half of the KEM key that the slot names, 32 bytes
 * @throws VerificationError `hpke.open-failed`
 */
export async function openWrap(
  release: WrappedRelease,
  ownerKeyId: Uint8Array,
  slot: number,
  wrap: Uint8Array,
  kemSeed: SecretBytes,
): Promise<SecretBytes> {
  const info = wrapInfo(bindingOf(release, ownerKeyId, slot));
  return new SecretBytes(await kemSeed.use((seed) => openSealed(seed, info, wrap)));
}
