/**
 * Sessions with the token of an HSM.
 *
 * A module is initialized once in a process, whoever uses it: the first user here does, the last one finalizes. It is
 * never unloaded, since modules leave exit handlers behind. A session lasts for one piece of work, which is synchronous:
 * nothing else of this process comes in between, closing the session logs out, and a connection that an HSM dropped
 * overnight costs nothing. Threads (`node:worker_threads`) must not share a module, since the one that initialized it
 * finalizes it under the others; processes are independent.
 */
import { realpath } from 'node:fs/promises';
import { EnvironmentError, RefusedError } from '../../errors.js';
import type { SecretBytes } from '../secret-bytes.js';
import {
  CKF_OS_LOCKING_OK,
  CKF_RW_SESSION,
  CKF_SERIAL_SESSION,
  CKR_CRYPTOKI_ALREADY_INITIALIZED,
  CKR_PIN_INCORRECT,
  CKR_PIN_LOCKED,
  CKR_USER_ALREADY_LOGGED_IN,
  CKU_USER,
  type Cryptoki,
  type Pkcs11Package,
  pkcs11Failed,
  resultOf,
} from './pkcs11-library.js';

export interface TokenName {
  readonly label: string;
  /** Tells tokens of one label apart. */
  readonly serial: string | undefined;
}

export interface Session {
  readonly cryptoki: Cryptoki;
  readonly handle: Buffer;
  /** The token's serial number. */
  readonly serial: string;
}

interface LoadedModule {
  readonly cryptoki: Cryptoki;
  users: number;
  /** Something else in this process may have initialized it, and will finalize it. */
  initializedHere: boolean;
}

/** By the real path: two names of one module are one module. */
const loadedModules = new Map<string, LoadedModule>();

/** One user's hold on a module. */
export class Pkcs11Module {
  #loaded: LoadedModule | undefined;

  private constructor(loaded: LoadedModule) {
    this.#loaded = loaded;
  }

  /** @throws EnvironmentError `wrapper.pkcs11-module`, `wrapper.pkcs11-failed` */
  static async open(path: string, library: Pkcs11Package): Promise<Pkcs11Module> {
    const real = await realpath(path).catch((error: unknown) => {
      throw notAModule(path, error);
    });
    const loaded = loadedModules.get(real) ?? load(real, library);
    loadedModules.set(real, loaded);
    if (loaded.users === 0) loaded.initializedHere = initialize(loaded.cryptoki);
    loaded.users += 1;
    return new Pkcs11Module(loaded);
  }

  get closed(): boolean {
    return this.#loaded === undefined;
  }

  /**
   * Logs in to the token as its user and runs `work`, which must not wait for anything.
   *
   * @throws EnvironmentError `wrapper.pkcs11-token`, `wrapper.pkcs11-failed`
   * @throws RefusedError `wrapper.pkcs11-pin`, `wrapper.pkcs11-token` where two tokens fit
   */
  withSession<T>(
    token: TokenName,
    pin: SecretBytes,
    access: 'read' | 'write',
    work: (session: Session) => T,
  ): T {
    const { cryptoki } = this.#open();
    const { slot, serial } = attempt('list its tokens', () => findToken(cryptoki, token));
    const flags = CKF_SERIAL_SESSION | (access === 'write' ? CKF_RW_SESSION : 0);
    const handle = attempt('open a session', () => cryptoki.C_OpenSession(slot, flags));
    try {
      login(cryptoki, handle, token, pin);
      return work({ cryptoki, handle, serial });
    } finally {
      closeQuietly(cryptoki, handle);
    }
  }

  close(): void {
    const loaded = this.#loaded;
    if (loaded === undefined) return;
    this.#loaded = undefined;
    loaded.users -= 1;
    if (loaded.users === 0 && loaded.initializedHere) {
      loaded.initializedHere = false;
      attempt('be finalized', () => loaded.cryptoki.C_Finalize());
    }
  }

  #open(): LoadedModule {
    // Wrappers refuse before they come here; this is for the compiler.
    if (this.#loaded === undefined) throw new TypeError('the PKCS#11 module is closed');
    return this.#loaded;
  }
}

/** Runs one or more PKCS#11 functions. @throws EnvironmentError `wrapper.pkcs11-failed` where one fails */
export function attempt<T>(action: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw resultOf(error) === undefined ? error : pkcs11Failed(action, error);
  }
}

function load(path: string, { PKCS11 }: Pkcs11Package): LoadedModule {
  const cryptoki = new PKCS11();
  try {
    cryptoki.load(path);
  } catch (error) {
    throw notAModule(path, error);
  }
  return { cryptoki, users: 0, initializedHere: false };
}

/** Whether this call did it. */
function initialize(cryptoki: Cryptoki): boolean {
  try {
    // Modules may have threads of their own.
    cryptoki.C_Initialize({ flags: CKF_OS_LOCKING_OK });
    return true;
  } catch (error) {
    if (resultOf(error)?.code === CKR_CRYPTOKI_ALREADY_INITIALIZED) return false;
    throw pkcs11Failed('be initialized', error);
  }
}

function findToken(
  cryptoki: Cryptoki,
  { label, serial }: TokenName,
): { readonly slot: Buffer; readonly serial: string } {
  const tokens = cryptoki.C_GetSlotList(true).map((slot) => {
    const info = cryptoki.C_GetTokenInfo(slot);
    return { slot, label: unpadded(info.label), serial: unpadded(info.serialNumber) };
  });
  const [found, other] = tokens.filter(
    (token) => token.label === label && (serial === undefined || token.serial === serial),
  );
  const wanted = `labelled ${JSON.stringify(label)}${serial === undefined ? '' : ` with serial number ${serial}`}`;
  if (found === undefined) {
    const present = tokens.map((token) => token.label).filter((name) => name !== '');
    throw new EnvironmentError(
      'wrapper.pkcs11-token',
      `The HSM has no token ${wanted}. Its tokens are: ${present.map((name) => JSON.stringify(name)).join(', ') || 'none'}. ` +
        'Connect the token, or correct the label in the wrapper configuration.',
    );
  }
  if (other !== undefined) {
    throw new RefusedError(
      'wrapper.pkcs11-token',
      `The HSM has more than one token ${wanted}. Set tokenSerial in the wrapper configuration to one of: ` +
        `${tokens.filter((token) => token.label === label).map((token) => token.serial)}.`,
    );
  }
  return found;
}

function login(cryptoki: Cryptoki, handle: Buffer, { label }: TokenName, pin: SecretBytes): void {
  try {
    // The interface takes a string, which cannot be wiped: one more reason to protect this process's memory.
    cryptoki.C_Login(
      handle,
      CKU_USER,
      pin.use((bytes) => Buffer.from(bytes).toString('utf8')),
    );
  } catch (error) {
    const code = resultOf(error)?.code;
    if (code === CKR_USER_ALREADY_LOGGED_IN) return;
    if (code === CKR_PIN_INCORRECT || code === CKR_PIN_LOCKED) {
      throw new RefusedError(
        'wrapper.pkcs11-pin',
        `Token ${JSON.stringify(label)} refuses the PIN: ${resultOf(error)?.name}. Correct the PIN file before you try ` +
          'again: tokens lock themselves after a few wrong PINs.',
      );
    }
    throw pkcs11Failed('log in', error);
  }
}

function closeQuietly(cryptoki: Cryptoki, handle: Buffer): void {
  try {
    cryptoki.C_CloseSession(handle);
  } catch {
    // The session is gone either way, and what the work threw or returned is what matters.
  }
}

function notAModule(path: string, cause: unknown): EnvironmentError {
  return new EnvironmentError(
    'wrapper.pkcs11-module',
    `${path} cannot be loaded as a PKCS#11 module; see the cause. Name the shared library of the HSM's vendor.`,
    { cause },
  );
}

/** Token information is padded with blanks to a fixed length. */
function unpadded(text: string): string {
  return text.replace(/[ \0]+$/, '');
}
