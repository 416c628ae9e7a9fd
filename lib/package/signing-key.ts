/** Private signing keys: the interface, behind which an HSM may stand, and one in memory. */
import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomBytes,
  sign as signWithKey,
} from 'node:crypto';
import { promisify } from 'node:util';
import { ml_dsa65 } from '@noble/post-quantum/ml-dsa.js';
import { ParameterError } from '../errors.js';
import { algorithmsSchema, keyIdOf, type PublicKeys, SEED_BYTES, type SignatureAlgorithm } from './keys.js';

const signEd25519 = promisify<null, Uint8Array, KeyObject, Buffer>(signWithKey);

/** DER of an Ed25519 private key up to its seed (RFC 8410 section 7). */
const ED25519_PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

export interface SigningKey {
  /** 32 bytes, {@link keyIdOf} of `publicKeys`. */
  readonly keyId: Uint8Array;
  readonly publicKeys: PublicKeys;
  /** What it signs with, sorted. */
  readonly algorithms: readonly SignatureAlgorithm[];
  /** Signs `message` as it is. Deterministic, so that one content has one encoding. */
  sign(algorithm: SignatureAlgorithm, message: Uint8Array): Promise<Uint8Array>;
}

/** The seeds that a key is made from again, 32 bytes each. As secret as the key. */
export interface SigningSecret {
  readonly ed25519: Uint8Array;
  readonly 'ml-dsa-65'?: Uint8Array | undefined;
}

/** A key in this process's memory. */
export interface LocalSigningKey extends SigningKey {
  /** A copy of the seeds, for storing them (mode 0600, or wrapped). */
  exportSecret(): SigningSecret;
}

function noSuchAlgorithm(algorithm: string): ParameterError {
  return new ParameterError(
    'key.algorithm-missing',
    `this key cannot sign with ${algorithm}; make one that can`,
  );
}

class InMemorySigningKey implements LocalSigningKey {
  readonly keyId: Uint8Array;
  readonly publicKeys: PublicKeys;
  readonly algorithms: readonly SignatureAlgorithm[];
  readonly #ed25519: KeyObject;
  readonly #mlDsa65: Uint8Array | undefined;
  readonly #secret: SigningSecret;

  constructor(secret: SigningSecret) {
    const der = Buffer.concat([ED25519_PKCS8_PREFIX, secret.ed25519]);
    this.#ed25519 = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    der.fill(0);
    const spki = createPublicKey(this.#ed25519).export({ format: 'der', type: 'spki' });
    const ed25519 = Uint8Array.from(spki.subarray(-32));
    const seed = secret['ml-dsa-65'];
    if (seed === undefined) {
      this.publicKeys = { ed25519 };
      this.algorithms = ['ed25519'];
    } else {
      const pair = ml_dsa65.keygen(seed);
      this.#mlDsa65 = pair.secretKey;
      this.publicKeys = { ed25519, 'ml-dsa-65': pair.publicKey };
      this.algorithms = ['ed25519', 'ml-dsa-65'];
    }
    this.keyId = keyIdOf(this.publicKeys);
    this.#secret = copySecret(secret);
  }

  async sign(algorithm: SignatureAlgorithm, message: Uint8Array): Promise<Uint8Array> {
    if (algorithm === 'ed25519') return Uint8Array.from(await signEd25519(null, message, this.#ed25519));
    if (this.#mlDsa65 === undefined) throw noSuchAlgorithm(algorithm);
    // FIPS 204 section 3.4, the deterministic variant.
    return ml_dsa65.sign(message, this.#mlDsa65, { extraEntropy: false });
  }

  exportSecret(): SigningSecret {
    return copySecret(this.#secret);
  }
}

function copySecret(secret: SigningSecret): SigningSecret {
  const ed25519 = Uint8Array.from(secret.ed25519);
  const seed = secret['ml-dsa-65'];
  return seed === undefined ? { ed25519 } : { ed25519, 'ml-dsa-65': Uint8Array.from(seed) };
}

/**
 * A fresh key from the operating system's randomness.
 *
 * @param algorithms sorted, Ed25519 among them
 * @throws ParameterError `key.bad-algorithms`
 */
export function createSigningKey(algorithms: readonly SignatureAlgorithm[] = ['ed25519']): LocalSigningKey {
  const parsed = algorithmsSchema.safeParse(algorithms);
  if (!parsed.success) {
    const reason = parsed.error.issues[0]?.message ?? 'unknown algorithm';
    throw new ParameterError(
      'key.bad-algorithms',
      `signature algorithms [${algorithms.join(', ')}]: ${reason}`,
    );
  }
  const ed25519 = randomBytes(SEED_BYTES);
  const withMlDsa = parsed.data.includes('ml-dsa-65');
  return new InMemorySigningKey(withMlDsa ? { ed25519, 'ml-dsa-65': randomBytes(SEED_BYTES) } : { ed25519 });
}

/**
 * The key that {@link LocalSigningKey.exportSecret} gave the seeds of.
 *
 * @throws ParameterError `key.bad-secret` for a seed that is not 32 bytes
 */
export function importSecret(secret: SigningSecret): LocalSigningKey {
  for (const [algorithm, seed] of Object.entries(secret) as [string, Uint8Array | undefined][]) {
    if (algorithm !== 'ed25519' && algorithm !== 'ml-dsa-65') {
      throw new ParameterError('key.bad-secret', `no signature algorithm is named "${algorithm}"`);
    }
    checkSeed(algorithm, seed, algorithm === 'ml-dsa-65');
  }
  checkSeed('ed25519', secret.ed25519, false);
  return new InMemorySigningKey(secret);
}

function checkSeed(algorithm: SignatureAlgorithm, seed: Uint8Array | undefined, optional: boolean): void {
  if (seed === undefined && optional) return;
  if (!(seed instanceof Uint8Array) || seed.length !== SEED_BYTES) {
    throw new ParameterError('key.bad-secret', `the ${algorithm} seed must be ${SEED_BYTES} bytes`);
  }
}
