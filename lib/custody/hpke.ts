/**
 * Sealing bytes to one recipient: HPKE base mode (RFC 9180) with KEM X-Wing (X25519 and ML-KEM-768, KEM id
 * 0x647a, draft-connolly-cfrg-xwing-kem), HKDF-SHA256 and AES-256-GCM, empty `aad`, one message a context.
 */
import { Aes256Gcm, CipherSuite, HkdfSha256 } from '@hpke/core';
import { XWing } from '@hpke/hybridkem-x-wing';
import { ParameterError, VerificationError } from '../errors.js';
import { SecretBytes } from './secret-bytes.js';

export const KEM_PUBLIC_KEY_BYTES = 1216;
export const KEM_SEED_BYTES = 32;
/** The encapsulated key that every sealed message begins with. */
export const ENCAPSULATION_BYTES = 1120;
/** What sealing adds to a plaintext: the encapsulated key and the AES-GCM tag. */
export const SEAL_OVERHEAD_BYTES = ENCAPSULATION_BYTES + 16;

const kem = new XWing();
const suite = new CipherSuite({ kem, kdf: new HkdfSha256(), aead: new Aes256Gcm() });

export interface KemKey {
  /** The X-Wing decapsulation key: the 32-byte seed that everything else is expanded from. */
  readonly seed: SecretBytes;
  /** 1216 bytes. */
  readonly publicKey: Uint8Array;
}

/** A fresh X-Wing key from the operating system's generator. */
export async function generateKemKey(): Promise<KemKey> {
  const seed = SecretBytes.random(KEM_SEED_BYTES);
  return { seed, publicKey: await seed.use(kemPublicKey) };
}

/**
 * The X-Wing public key (1216 bytes) of a 32-byte seed.
 *
 * @throws ParameterError `hpke.bad-private-key` for another length
 */
export async function kemPublicKey(seed: Uint8Array): Promise<Uint8Array> {
  const privateKey = copyOfSeed(seed);
  try {
    const pair = await kem.generateKeyPairDerand(privateKey);
    return new Uint8Array(await kem.serializePublicKey(pair.publicKey));
  } finally {
    privateKey.fill(0);
  }
}

/**
 * Seals `plaintext` to the holder of `recipientPublicKey`, bound to `info`. Randomized: a new encapsulation
 * every time.
 *
 * @param recipientPublicKey 1216 bytes
 * @returns encapsulated key (1120 bytes) || ciphertext || tag (16 bytes)
 * @throws ParameterError `hpke.bad-public-key` for another length, an ML-KEM key that is not reduced
 *   (FIPS 203, section 7.2) or an X25519 point of small order
 */
export async function sealTo(
  recipientPublicKey: Uint8Array,
  info: Uint8Array,
  plaintext: Uint8Array,
): Promise<Uint8Array> {
  if (recipientPublicKey.length !== KEM_PUBLIC_KEY_BYTES) {
    throw badPublicKey(`it has ${recipientPublicKey.length} bytes, not ${KEM_PUBLIC_KEY_BYTES}`);
  }
  const publicKey = await kem.deserializePublicKey(new Uint8Array(recipientPublicKey));
  const context = await suite
    .createSenderContext({ recipientPublicKey: publicKey, info: new Uint8Array(info) })
    .catch(() => {
      throw badPublicKey('nothing can be encapsulated to it');
    });
  const ciphertext = await context.seal(new Uint8Array(plaintext));
  const sealed = new Uint8Array(context.enc.byteLength + ciphertext.byteLength);
  sealed.set(new Uint8Array(context.enc));
  sealed.set(new Uint8Array(ciphertext), context.enc.byteLength);
  return sealed;
}

/**
 * Opens what `sealTo` made for the public key of `privateKeySeed` under the same `info`. The seed is copied
 * before the first suspension, so that it may be wiped as soon as this function has returned its promise.
 *
 * @param privateKeySeed 32 bytes
 * @throws VerificationError `hpke.open-failed`, the same for every cause
 * @throws ParameterError `hpke.bad-private-key` for a seed of another length
 */
export async function openSealed(
  privateKeySeed: Uint8Array,
  info: Uint8Array,
  sealed: Uint8Array,
): Promise<Uint8Array> {
  const privateKey = copyOfSeed(privateKeySeed);
  try {
    if (sealed.length < SEAL_OVERHEAD_BYTES) {
      throw openFailed();
    }
    const context = await suite.createRecipientContext({
      recipientKey: await kem.deserializePrivateKey(privateKey),
      enc: new Uint8Array(sealed.subarray(0, ENCAPSULATION_BYTES)),
      info: new Uint8Array(info),
    });
    return new Uint8Array(await context.open(new Uint8Array(sealed.subarray(ENCAPSULATION_BYTES))));
  } catch {
    // No cause is attached: who learns at which step opening failed has an oracle.
    throw openFailed();
  } finally {
    privateKey.fill(0);
  }
}

function copyOfSeed(seed: Uint8Array): Uint8Array<ArrayBuffer> {
  if (seed.length !== KEM_SEED_BYTES) {
    throw new ParameterError(
      'hpke.bad-private-key',
      `An X-Wing private key is a seed of ${KEM_SEED_BYTES} bytes; this one has ${seed.length}.`,
    );
  }
  return new Uint8Array(seed);
}

function badPublicKey(reason: string): ParameterError {
  return new ParameterError(
    'hpke.bad-public-key',
    `This is no X-Wing public key: ${reason}. Check the KEM key in the roster.`,
  );
}

function openFailed(): VerificationError {
  return new VerificationError(
    'hpke.open-failed',
    'A sealed message does not open: it was changed, sealed to another key, or bound to another round, ' +
      'plan, sender or recipient. Ask its sender to seal it again for this recipient.',
  );
}
