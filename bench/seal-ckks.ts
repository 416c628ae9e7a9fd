/** node-seal's CKKS, set up as secure aggregation uses it: n = 8192, coefficient moduli of 60, 40 and 40 bits. */
import type { CipherText } from 'node-seal/implementation/cipher-text.js';
import type { PlainText } from 'node-seal/implementation/plain-text.js';
import type { SEALLibrary } from 'node-seal/implementation/seal.js';
import type { Absent } from './measure.js';

const POLYNOMIAL_DEGREE = 8192;
const MODULUS_BITS = [60, 40, 40];
const SCALE = 2 ** 40;

/** One update as CKKS holds it: a ciphertext for every 4096 values. Every call works on the whole update. */
export interface SealUpdate {
  readonly batches: number;
  encode(): void;
  /** With the public key, from the encoded batches. */
  encrypt(): void;
  /** With the secret key; the second polynomial is a seed. */
  encryptSymmetric(): void;
  /** Adds the update to itself, one batch on. */
  add(): void;
  decrypt(): void;
  decode(): Float64Array;
  /** Serialized, without compression. */
  bytes(): number;
  /** Serialized, with the compression that SEAL uses by default. */
  compressedBytes(): number;
  symmetricBytes(): number;
  delete(): void;
}

/** The library, or why it is not here: it is a development dependency. */
export async function loadSeal(): Promise<SEALLibrary | Absent> {
  try {
    // Its types describe another build; this one exports the loader itself.
    const module: { readonly default: unknown } = await import('node-seal');
    return await (module.default as () => Promise<SEALLibrary>)();
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return { absent: `node-seal, a development dependency, did not load: ${reason}` };
  }
}

/** Encodes and encrypts `values` once, so that every call finds what it needs. */
export function makeSealUpdate(seal: SEALLibrary, values: Int32Array): SealUpdate {
  const parameters = seal.EncryptionParameters(seal.SchemeType.ckks);
  parameters.setPolyModulusDegree(POLYNOMIAL_DEGREE);
  parameters.setCoeffModulus(seal.CoeffModulus.Create(POLYNOMIAL_DEGREE, Int32Array.from(MODULUS_BITS)));
  const context = seal.Context(parameters, true, seal.SecurityLevel.tc128);
  const keys = seal.KeyGenerator(context);
  const secretKey = keys.secretKey();
  const encryptor = seal.Encryptor(context, keys.createPublicKey(), secretKey);
  const decryptor = seal.Decryptor(context, secretKey);
  const evaluator = seal.Evaluator(context);
  const encoder = seal.CKKSEncoder(context);
  const slots = encoder.slotCount;
  const batches = Math.ceil(values.length / slots);
  const inputs = Array.from({ length: batches }, (_, i) =>
    Float64Array.from(values.subarray(i * slots, (i + 1) * slots)),
  );
  const plains = inputs.map(() => seal.PlainText());
  const ciphers = inputs.map(() => seal.CipherText());
  const opened = inputs.map(() => seal.PlainText());
  const sum = seal.CipherText();
  const cipher = (i: number) => ciphers[i % batches] as CipherText;
  const plain = (i: number) => plains[i] as PlainText;
  const { none, zstd } = seal.ComprModeType;

  const totalBytes = (save: (i: number) => Uint8Array) =>
    ciphers.reduce((bytes, _, i) => bytes + save(i).byteLength, 0);
  const symmetric = <T>(i: number, use: (serializable: { saveArray(c: unknown): Uint8Array }) => T): T => {
    const serializable = encryptor.encryptSymmetricSerializable(plain(i));
    const result = use(serializable);
    serializable.delete();
    return result;
  };
  const update: SealUpdate = {
    batches,
    encode: () => {
      for (const [i, input] of inputs.entries()) encoder.encode(input, SCALE, plain(i));
    },
    encrypt: () => {
      for (let i = 0; i < batches; i += 1) encryptor.encrypt(plain(i), cipher(i));
    },
    encryptSymmetric: () => {
      for (let i = 0; i < batches; i += 1) symmetric(i, () => undefined);
    },
    add: () => {
      for (let i = 0; i < batches; i += 1) evaluator.add(cipher(i), cipher(i + 1), sum);
    },
    decrypt: () => {
      for (const [i, target] of opened.entries()) decryptor.decrypt(cipher(i), target);
    },
    decode: () => {
      const decoded = new Float64Array(batches * slots);
      for (const [i, source] of opened.entries()) decoded.set(encoder.decode(source), i * slots);
      return decoded.subarray(0, values.length);
    },
    bytes: () => totalBytes((i) => cipher(i).saveArray(none)),
    compressedBytes: () => totalBytes((i) => cipher(i).saveArray(zstd)),
    symmetricBytes: () => totalBytes((i) => symmetric(i, (serializable) => serializable.saveArray(none))),
    delete: () => {
      for (const owned of [...plains, ...ciphers, ...opened, sum]) owned.delete();
    },
  };
  update.encode();
  update.encrypt();
  update.decrypt();
  return update;
}
