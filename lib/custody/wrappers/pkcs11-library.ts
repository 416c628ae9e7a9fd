/**
 * The part of PKCS#11 that is used here, and the optional package that speaks it.
 *
 * The interfaces are written out rather than taken from pkcs11js: that package needs a compiler to install, and without
 * it everything else must still build and run.
 */
import { EnvironmentError } from '../../errors.js';

/** The constants of PKCS#11 v2.40 that are used here, by their names in the standard. */
export const CKA_CLASS = 0x000;
export const CKA_TOKEN = 0x001;
export const CKA_PRIVATE = 0x002;
export const CKA_LABEL = 0x003;
export const CKA_KEY_TYPE = 0x100;
export const CKA_ID = 0x102;
export const CKA_SENSITIVE = 0x103;
export const CKA_ENCRYPT = 0x104;
export const CKA_DECRYPT = 0x105;
export const CKA_WRAP = 0x106;
export const CKA_UNWRAP = 0x107;
export const CKA_SIGN = 0x108;
export const CKA_VERIFY = 0x10a;
export const CKA_VALUE_LEN = 0x161;
export const CKA_EXTRACTABLE = 0x162;
export const CKO_SECRET_KEY = 4;
export const CKK_AES = 0x1f;
export const CKM_AES_KEY_GEN = 0x1080;
export const CKM_AES_GCM = 0x1087;
export const CKF_RW_SESSION = 2;
export const CKF_SERIAL_SESSION = 4;
export const CKF_OS_LOCKING_OK = 2;
export const CKU_USER = 1;
export const CKR_GENERAL_ERROR = 0x05;
export const CKR_FUNCTION_FAILED = 0x06;
export const CKR_DATA_INVALID = 0x20;
export const CKR_DATA_LEN_RANGE = 0x21;
export const CKR_ENCRYPTED_DATA_INVALID = 0x40;
export const CKR_ENCRYPTED_DATA_LEN_RANGE = 0x41;
/** Of version 3.0. */
export const CKR_AEAD_DECRYPT_FAILED = 0x42;
export const CKR_PIN_INCORRECT = 0xa0;
export const CKR_PIN_LOCKED = 0xa4;
export const CKR_USER_ALREADY_LOGGED_IN = 0x100;
export const CKR_CRYPTOKI_ALREADY_INITIALIZED = 0x191;

export interface Attribute {
  readonly type: number;
  readonly value?: number | boolean | string | Buffer;
}

export interface Mechanism {
  readonly mechanism: number;
  readonly parameter?: unknown;
}

/** A loaded PKCS#11 module. Handles are opaque buffers; a method that fails throws, see `resultOf`. */
export interface Cryptoki {
  load(path: string): void;
  C_Initialize(options: { readonly flags: number }): void;
  C_Finalize(): void;
  C_GetSlotList(tokenPresent: boolean): Buffer[];
  C_GetTokenInfo(slot: Buffer): { readonly label: string; readonly serialNumber: string };
  C_OpenSession(slot: Buffer, flags: number): Buffer;
  C_CloseSession(session: Buffer): void;
  C_Login(session: Buffer, userType: number, pin: string): void;
  C_FindObjectsInit(session: Buffer, template: Attribute[]): void;
  C_FindObjects(session: Buffer, maxCount: number): Buffer[];
  C_FindObjectsFinal(session: Buffer): void;
  C_GetAttributeValue(session: Buffer, object: Buffer, template: Attribute[]): { readonly value: Buffer }[];
  C_GenerateKey(session: Buffer, mechanism: Mechanism, template: Attribute[]): Buffer;
  C_EncryptInit(session: Buffer, mechanism: Mechanism, key: Buffer): void;
  C_Encrypt(session: Buffer, input: Buffer, output: Buffer): Buffer;
  C_DecryptInit(session: Buffer, mechanism: Mechanism, key: Buffer): void;
  C_Decrypt(session: Buffer, input: Buffer, output: Buffer): Buffer;
}

/** What is used of the package pkcs11js. */
export interface Pkcs11Package {
  readonly PKCS11: new () => Cryptoki;
  /** The package's number for `CK_GCM_PARAMS` as v2.40 lays it out. */
  readonly CK_PARAMS_AES_GCM_v240: number;
}

/** Imports the package; replaced in tests. */
export type ImportPkcs11 = () => Promise<unknown>;

// In a variable, so that the compiler does not ask for the package.
const PACKAGE_NAME = 'pkcs11js';

/** @throws EnvironmentError `wrapper.pkcs11-package` if it is not installed, or was not compiled */
export async function loadPkcs11Package(
  importPackage: ImportPkcs11 = () => import(PACKAGE_NAME),
): Promise<Pkcs11Package> {
  let imported: unknown;
  try {
    imported = await importPackage();
  } catch (error) {
    throw missingPackage(error);
  }
  // It is CommonJS, of which `import` names only some of the exports.
  for (const candidate of [imported, property(imported, 'default')]) {
    if (isPkcs11Package(candidate)) return candidate;
  }
  throw missingPackage(undefined);
}

/** What a PKCS#11 function returned instead of CKR_OK: the number and the standard's name for it. */
export function resultOf(error: unknown): { readonly code: number; readonly name: string } | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = property(error, 'code');
  return typeof code === 'number' && error.message.startsWith('CKR_')
    ? { code, name: error.message }
    : undefined;
}

/**
 * The error for a PKCS#11 function that failed while `action` was done. It names the standard's code and keeps no
 * cause: an error of the native layer may quote arguments, one of which is the PIN.
 */
export function pkcs11Failed(action: string, error: unknown): EnvironmentError {
  const name = resultOf(error)?.name ?? (error instanceof Error ? error.name : 'an unknown error');
  return new EnvironmentError(
    'wrapper.pkcs11-failed',
    `The HSM could not ${action}: ${name}. Check that the token is connected and its log, then try again.`,
  );
}

function missingPackage(cause: unknown): EnvironmentError {
  return new EnvironmentError(
    'wrapper.pkcs11-package',
    `An HSM needs the package ${PACKAGE_NAME}, which is not here or was not compiled. It needs a C++ compiler, make and ` +
      `python3 (Debian: apt-get install g++ make python3). Then run: npm install ${PACKAGE_NAME}@2 && npm rebuild ` +
      `${PACKAGE_NAME} - where npm blocks install scripts, allow this package's.`,
    cause === undefined ? undefined : { cause },
  );
}

function isPkcs11Package(value: unknown): value is Pkcs11Package {
  return (
    typeof property(value, 'PKCS11') === 'function' &&
    typeof property(value, 'CK_PARAMS_AES_GCM_v240') === 'number'
  );
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
