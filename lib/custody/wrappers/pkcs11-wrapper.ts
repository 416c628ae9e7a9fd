/**
 * Keys wrapped by a hardware security module over PKCS#11, with an AES-256 key that never leaves it.
 *
 * wrapped key = "TGWH" || version 1 || zeroes (3) || wrapping key (8) || nonce (12) || ciphertext || tag (16)
 *
 * AES-GCM (CKM_AES_GCM with the parameters of PKCS#11 v2.40); the 28 bytes before the ciphertext are authenticated with
 * it. The nonce comes from the operating system, so modules that insist on making it themselves are not supported.
 *
 * PKCS#11 calls are synchronous and block the event loop: a few milliseconds for payloads of some kilobytes, a network
 * HSM's round trips at worst. Keys are unwrapped once a process, so this is no load.
 */
import { createHash, randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { z } from 'zod';
import { EnvironmentError, FormatError, RefusedError } from '../../errors.js';
import { encodeFields } from '../fields.js';
import { SecretBytes } from '../secret-bytes.js';
import {
  closedWrapper,
  type KeyWrapper,
  MAX_SECRET_BYTES,
  requireSecretSize,
  unwrapFailed,
  type WrapperDescription,
} from './key-wrapper.js';
import {
  CKA_CLASS,
  CKA_DECRYPT,
  CKA_ENCRYPT,
  CKA_EXTRACTABLE,
  CKA_ID,
  CKA_KEY_TYPE,
  CKA_LABEL,
  CKA_PRIVATE,
  CKA_SENSITIVE,
  CKA_SIGN,
  CKA_TOKEN,
  CKA_UNWRAP,
  CKA_VALUE_LEN,
  CKA_VERIFY,
  CKA_WRAP,
  CKK_AES,
  CKM_AES_GCM,
  CKM_AES_KEY_GEN,
  CKO_SECRET_KEY,
  CKR_AEAD_DECRYPT_FAILED,
  CKR_DATA_INVALID,
  CKR_DATA_LEN_RANGE,
  CKR_ENCRYPTED_DATA_INVALID,
  CKR_ENCRYPTED_DATA_LEN_RANGE,
  CKR_FUNCTION_FAILED,
  CKR_GENERAL_ERROR,
  type ImportPkcs11,
  loadPkcs11Package,
  type Mechanism,
  pkcs11Failed,
  resultOf,
} from './pkcs11-library.js';
import { attempt, Pkcs11Module, type Session, type TokenName } from './pkcs11-session.js';
import { readSecretLine } from './private-file.js';

const MAGIC = Buffer.from('TGWH', 'latin1');
const VERSION = 1;
const ID_OFFSET = 8;
const ID_BYTES = 8;
const NONCE_OFFSET = ID_OFFSET + ID_BYTES;
const NONCE_BYTES = 12;
const HEADER_BYTES = NONCE_OFFSET + NONCE_BYTES;
const TAG_BYTES = 16;
const KEY_BYTES = 32;

const PIN_BYTES = { minBytes: 1, maxBytes: 255 } as const;

/** What modules say of a tag that does not hold; SoftHSM and others have only the general codes for it. */
const CIPHERTEXT_FAULTS: readonly number[] = [
  CKR_AEAD_DECRYPT_FAILED,
  CKR_ENCRYPTED_DATA_INVALID,
  CKR_ENCRYPTED_DATA_LEN_RANGE,
  CKR_DATA_INVALID,
  CKR_DATA_LEN_RANGE,
  CKR_GENERAL_ERROR,
  CKR_FUNCTION_FAILED,
];

export const pkcs11ConfigSchema = z.strictObject({
  kind: z.literal('pkcs11'),
  /** The vendor's shared library. */
  module: z.string().min(1).max(4096),
  tokenLabel: z.string().min(1).max(32),
  /** Only where two tokens have the same label. */
  tokenSerial: z.string().min(1).max(16).optional(),
  keyLabel: z.string().min(1).max(128),
  pinFile: z.string().min(1).max(4096),
});

export type Pkcs11Config = z.infer<typeof pkcs11ConfigSchema>;

export interface Pkcs11Options {
  /** The role's directory, against which relative `module` and `pinFile` are resolved. */
  readonly directory: string;
  /** For tests: how the package pkcs11js is imported. */
  readonly importPkcs11?: ImportPkcs11;
}

/** A key of the token, good for one session. */
interface WrappingKey {
  readonly handle: Buffer;
  /** 8 bytes that name it. */
  readonly id: Buffer;
}

export class Pkcs11Wrapper implements KeyWrapper {
  readonly #token: HsmToken;
  readonly #description: WrapperDescription;

  private constructor(token: HsmToken, description: WrapperDescription) {
    this.#token = token;
    this.#description = description;
  }

  /**
   * Loads the module, logs in and finds the key, which must exist: see `createPkcs11Key`.
   *
   * @throws EnvironmentError `wrapper.pkcs11-package`, `wrapper.pkcs11-module`, `wrapper.pkcs11-token`,
   *   `wrapper.pkcs11-key-missing`, `wrapper.pkcs11-failed`, and what reading the PIN file throws
   * @throws RefusedError `wrapper.pkcs11-pin`; `wrapper.pkcs11-key-unsafe` if the HSM would give the key away
   */
  static async open(config: Pkcs11Config, options: Pkcs11Options): Promise<Pkcs11Wrapper> {
    const token = await HsmToken.open(config, options);
    try {
      const { id, serial } = await token.work('read', (session) => ({
        id: describeKey(findKey(session, config.keyLabel)),
        serial: session.serial,
      }));
      const { tokenLabel, keyLabel } = config;
      const detail = { module: token.modulePath, tokenLabel, tokenSerial: serial, keyLabel };
      return new Pkcs11Wrapper(token, { kind: 'pkcs11', id, detail });
    } catch (error) {
      token.close();
      throw error;
    }
  }

  describe(): WrapperDescription {
    return this.#description;
  }

  async wrap(secret: SecretBytes): Promise<Uint8Array> {
    requireSecretSize(secret.sizeBytes);
    return this.#token.work('read', (session) => {
      const key = this.#sameKey(session);
      const parameters = Uint8Array.of(VERSION, 0, 0, 0);
      const header = Buffer.concat([MAGIC, parameters, key.id, randomBytes(NONCE_BYTES)]);
      return secret.use((bytes) => encrypt(session, this.#token.gcm(header), key, header, bytes));
    });
  }

  async unwrap(wrapped: Uint8Array): Promise<SecretBytes> {
    const blob = Buffer.from(wrapped);
    requireWellFormed(blob);
    return this.#token.work('read', (session) => {
      const key = this.#sameKey(session);
      if (!blob.subarray(ID_OFFSET, NONCE_OFFSET).equals(key.id)) {
        throw unwrapFailed(
          this.#description.id,
          `It names pkcs11:${blob.toString('hex', ID_OFFSET, NONCE_OFFSET)}; set keyLabel to that key's.`,
        );
      }
      return decrypt(session, this.#token.gcm(blob.subarray(0, HEADER_BYTES)), key, blob, () =>
        unwrapFailed(this.#description.id, 'Restore the wrapped key.'),
      );
    });
  }

  async close(): Promise<void> {
    this.#token.close();
  }

  /** The key, checked again, for somebody may have replaced it while this wrapper was open. */
  #sameKey(session: Session): WrappingKey {
    const key = findKey(session, this.#token.config.keyLabel);
    if (describeKey(key) !== this.#description.id) {
      throw new EnvironmentError(
        'wrapper.pkcs11-key-missing',
        `The HSM's key ${this.#token.config.keyLabel} was replaced: it is ${describeKey(key)} now, and was ` +
          `${this.#description.id} when this process started. Start again, or bring the old key back.`,
      );
    }
    return key;
  }
}

/**
 * Makes the wrapping key in the token: AES-256, sensitive, not extractable, with a random CKA_ID.
 *
 * @returns the id that its wrapper will have
 * @throws RefusedError `wrapper.pkcs11-key-exists`; `wrapper.pkcs11-key-unsafe` if the HSM made another key than asked;
 *   what `Pkcs11Wrapper.open` throws
 */
export async function createPkcs11Key(config: Pkcs11Config, options: Pkcs11Options): Promise<string> {
  const token = await HsmToken.open(config, options);
  try {
    return await token.work('write', (session) => {
      if (objectsWithLabel(session, config.keyLabel).length > 0) {
        throw new RefusedError(
          'wrapper.pkcs11-key-exists',
          `Token ${config.tokenLabel} has an AES key ${config.keyLabel}, and a key is never overwritten. ` +
            'Use it, or choose another label.',
        );
      }
      attempt('generate the key', () =>
        session.cryptoki.C_GenerateKey(
          session.handle,
          { mechanism: CKM_AES_KEY_GEN },
          keyTemplate(config.keyLabel),
        ),
      );
      return describeKey(findKey(session, config.keyLabel));
    });
  } finally {
    token.close();
  }
}

/** One token of one module, and the file with its PIN. */
class HsmToken {
  private constructor(
    readonly config: Pkcs11Config,
    readonly modulePath: string,
    private readonly pinPath: string,
    private readonly module: Pkcs11Module,
    private readonly gcmParameterType: number,
  ) {}

  static async open(config: Pkcs11Config, options: Pkcs11Options): Promise<HsmToken> {
    const library = await loadPkcs11Package(options.importPkcs11);
    const modulePath = resolve(options.directory, config.module);
    const pinPath = resolve(options.directory, config.pinFile);
    const module = await Pkcs11Module.open(modulePath, library);
    return new HsmToken(config, modulePath, pinPath, module, library.CK_PARAMS_AES_GCM_v240);
  }

  /** Runs `work` in a session. The PIN is read for each, so that it does not rest in memory. */
  async work<T>(access: 'read' | 'write', work: (session: Session) => T): Promise<T> {
    if (this.module.closed) throw closedWrapper();
    const pin = await readSecretLine(this.pinPath, 'PIN', PIN_BYTES);
    try {
      if (this.module.closed) throw closedWrapper();
      const token: TokenName = { label: this.config.tokenLabel, serial: this.config.tokenSerial };
      return this.module.withSession(token, pin, access, work);
    } finally {
      pin.wipe();
    }
  }

  /** AES-GCM with the nonce at the end of `header`, and all of `header` authenticated. */
  gcm(header: Buffer): Mechanism {
    const iv = Buffer.from(header.subarray(NONCE_OFFSET));
    const parameter = {
      type: this.gcmParameterType,
      iv,
      ivBits: 8 * NONCE_BYTES,
      aad: header,
      tagBits: 8 * TAG_BYTES,
    };
    return { mechanism: CKM_AES_GCM, parameter };
  }

  close(): void {
    this.module.close();
  }
}

function keyTemplate(label: string) {
  return [
    { type: CKA_CLASS, value: CKO_SECRET_KEY },
    { type: CKA_KEY_TYPE, value: CKK_AES },
    { type: CKA_VALUE_LEN, value: KEY_BYTES },
    { type: CKA_TOKEN, value: true },
    { type: CKA_PRIVATE, value: true },
    { type: CKA_SENSITIVE, value: true },
    { type: CKA_EXTRACTABLE, value: false },
    { type: CKA_ENCRYPT, value: true },
    { type: CKA_DECRYPT, value: true },
    // A key that both unwraps and decrypts can be used to get other keys out of a token.
    { type: CKA_WRAP, value: false },
    { type: CKA_UNWRAP, value: false },
    { type: CKA_SIGN, value: false },
    { type: CKA_VERIFY, value: false },
    { type: CKA_LABEL, value: label },
    // Two keys that had one label, one after the other, are told apart by it.
    { type: CKA_ID, value: randomBytes(16) },
  ];
}

function objectsWithLabel({ cryptoki, handle }: Session, label: string): Buffer[] {
  return attempt('search for the key', () => {
    cryptoki.C_FindObjectsInit(handle, [
      { type: CKA_CLASS, value: CKO_SECRET_KEY },
      { type: CKA_KEY_TYPE, value: CKK_AES },
      { type: CKA_TOKEN, value: true },
      { type: CKA_LABEL, value: label },
    ]);
    const objects = cryptoki.C_FindObjects(handle, 2);
    cryptoki.C_FindObjectsFinal(handle);
    return objects;
  });
}

function findKey(session: Session, label: string): WrappingKey {
  const [object, other] = objectsWithLabel(session, label);
  if (object === undefined) {
    throw new EnvironmentError(
      'wrapper.pkcs11-key-missing',
      `The token has no AES key ${label}. Correct keyLabel, or make the key first.`,
    );
  }
  if (other !== undefined) {
    throw new RefusedError(
      'wrapper.pkcs11-key-unsafe',
      `The token has more than one AES key ${label}, and which one would be used is chance. Give one another label.`,
    );
  }
  requireKeptInside(session, object, label);
  // Neither the token's label nor its serial number: a key that was cloned into a second HSM is the same key.
  const [id] = attributes(session, object, [CKA_ID]);
  const fields = encodeFields('tensorguard-native pkcs11 wrapping key', [
    ['keyLabel', label],
    ['CKA_ID', id ?? Buffer.alloc(0)],
  ]);
  return { handle: object, id: createHash('sha256').update(fields).digest().subarray(0, ID_BYTES) };
}

/** An HSM that hands the key out is no HSM. */
function requireKeptInside(session: Session, object: Buffer, label: string): void {
  const [sensitive, extractable] = attributes(session, object, [CKA_SENSITIVE, CKA_EXTRACTABLE]);
  // A missing answer is no assurance either.
  if (sensitive?.[0] !== 1 || extractable?.[0] !== 0) {
    throw new RefusedError(
      'wrapper.pkcs11-key-unsafe',
      `The token would give away its key ${label}: it must be sensitive (CKA_SENSITIVE) and not extractable ` +
        '(CKA_EXTRACTABLE). Make another key with another label, and destroy this one.',
    );
  }
  const [sizeBytes] = attributes(session, object, [CKA_VALUE_LEN]);
  if (sizeBytes?.[0] !== KEY_BYTES) {
    throw new RefusedError(
      'wrapper.pkcs11-key-unsafe',
      `The token's key ${label} is not an AES-256 key. Make one with another label.`,
    );
  }
}

function attributes({ cryptoki, handle }: Session, object: Buffer, types: readonly number[]): Buffer[] {
  return attempt("read the key's attributes", () =>
    cryptoki
      .C_GetAttributeValue(
        handle,
        object,
        types.map((type) => ({ type })),
      )
      .map((attribute) => attribute.value),
  );
}

function describeKey(key: WrappingKey): string {
  return `pkcs11:${key.id.toString('hex')}`;
}

function requireWellFormed(blob: Buffer): void {
  const sizeBytes = blob.length - HEADER_BYTES - TAG_BYTES;
  const fits = sizeBytes >= 1 && sizeBytes <= MAX_SECRET_BYTES;
  if (!fits || !blob.subarray(0, MAGIC.length).equals(MAGIC) || blob[MAGIC.length] !== VERSION) {
    throw new FormatError(
      'wrapper.malformed',
      'A key is not wrapped as version 1 of this software wraps with an HSM. Restore its file.',
    );
  }
}

function encrypt(
  { cryptoki, handle }: Session,
  gcm: Mechanism,
  key: WrappingKey,
  header: Buffer,
  secret: Uint8Array,
): Uint8Array {
  return attempt('encrypt', () => {
    cryptoki.C_EncryptInit(handle, gcm, key.handle);
    const input = Buffer.from(secret.buffer, secret.byteOffset, secret.length);
    const sealed = cryptoki.C_Encrypt(handle, input, Buffer.alloc(secret.length + TAG_BYTES));
    return new Uint8Array(Buffer.concat([header, sealed]));
  });
}

function decrypt(
  { cryptoki, handle }: Session,
  gcm: Mechanism,
  key: WrappingKey,
  blob: Buffer,
  refused: () => Error,
): SecretBytes {
  attempt('begin to decrypt', () => cryptoki.C_DecryptInit(handle, gcm, key.handle));
  const sealed = blob.subarray(HEADER_BYTES);
  // Modules want room for the tag as well.
  const output = Buffer.alloc(sealed.length);
  try {
    return new SecretBytes(Uint8Array.from(cryptoki.C_Decrypt(handle, sealed, output)));
  } catch (error) {
    throw CIPHERTEXT_FAULTS.includes(resultOf(error)?.code ?? -1)
      ? refused()
      : pkcs11Failed('decrypt', error);
  } finally {
    output.fill(0);
  }
}
