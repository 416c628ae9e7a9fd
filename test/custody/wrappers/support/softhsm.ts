/** SoftHSM2: a real PKCS#11 module without hardware, with a new token for each test that asks. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Cryptoki, loadPkcs11Package } from '../../../../lib/custody/wrappers/pkcs11-library.js';

/** Where distributions put it. */
const MODULES = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib64/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so',
  '/usr/local/lib/softhsm/libsofthsm2.so',
  '/opt/homebrew/lib/softhsm/libsofthsm2.so',
];

export const PIN = '4821-3365';

export interface SoftHsmToken {
  readonly module: string;
  readonly tokenLabel: string;
  /** Holds `PIN`, mode 0600. */
  readonly pinFile: string;
  /** For child processes that use the token. */
  readonly env: { readonly SOFTHSM2_CONF: string };
}

/** Whether SoftHSM2 and the optional package pkcs11js are installed. */
export function available(): boolean {
  return missing() === undefined;
}

/** Skips the tests, with a message, where SoftHSM2 is not installed; on CI that is an error. */
export function requireSoftHsm(context: Mocha.Context): void {
  const problem = missing();
  if (problem === undefined) return;
  if (process.env['CI'] === 'true') {
    throw new Error(`${problem}, and CI=true does not allow skipping.`);
  }
  console.warn(`${problem}: skipping the tests against an HSM.`);
  context.skip();
}

/**
 * Makes a token in `directory`, and points this process's SOFTHSM2_CONF at it. SoftHSM2 reads that when it is
 * initialized: close every wrapper of an earlier token first.
 */
export async function createToken(directory: string, tokenLabel = 'custody'): Promise<SoftHsmToken> {
  const configuration = join(directory, 'softhsm2.conf');
  const tokens = join(directory, 'tokens');
  await mkdir(tokens, { recursive: true, mode: 0o700 });
  await writeFile(
    configuration,
    `directories.tokendir = ${tokens}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  );
  const pinFile = join(directory, 'pin');
  await writeFile(pinFile, `${PIN}\n`);
  await chmod(pinFile, 0o600);
  process.env['SOFTHSM2_CONF'] = configuration;
  await addToken(tokenLabel);
  return { module: modulePath(), tokenLabel, pinFile, env: { SOFTHSM2_CONF: configuration } };
}

/** Adds a token to those that SOFTHSM2_CONF names. */
export async function addToken(tokenLabel: string): Promise<void> {
  const { env } = process;
  const pins = ['--pin', PIN, '--so-pin', '9137-5520'];
  await promisify(execFile)('softhsm2-util', ['--init-token', '--free', '--label', tokenLabel, ...pins], {
    env,
  });
}

/** Runs `use` with the token itself, logged in, as any other program of its user might. No wrapper may be open. */
export async function withToken<T>(
  token: SoftHsmToken,
  use: (cryptoki: Cryptoki, session: Buffer) => T,
): Promise<T> {
  const { PKCS11 } = await loadPkcs11Package();
  const cryptoki = new PKCS11();
  cryptoki.load(token.module);
  cryptoki.C_Initialize({ flags: 2 });
  try {
    const slot = cryptoki
      .C_GetSlotList(true)
      .find((candidate) => cryptoki.C_GetTokenInfo(candidate).label.trimEnd() === token.tokenLabel);
    if (slot === undefined) throw new Error('SoftHSM2 lost its token');
    const session = cryptoki.C_OpenSession(slot, 2 | 4);
    cryptoki.C_Login(session, 1, PIN);
    return use(cryptoki, session);
  } finally {
    cryptoki.C_Finalize();
  }
}

function modulePath(): string {
  const path = MODULES.find((candidate) => existsSync(candidate));
  if (path === undefined) throw new Error('libsofthsm2.so is not installed');
  return path;
}

function missing(): string | undefined {
  if (!MODULES.some((candidate) => existsSync(candidate))) {
    return 'SoftHSM2 (libsofthsm2.so) is not installed; on Debian: apt-get install softhsm2';
  }
  try {
    createRequire(import.meta.url)('pkcs11js');
    return undefined;
  } catch {
    return 'The optional package pkcs11js is not installed or was not compiled';
  }
}
