/** Key stores in directories of their own. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KeyStore, type NewKeyStore } from '../../../../lib/custody/keys/key-store.js';
import type { WrapperConfig } from '../../../../lib/custody/wrappers/wrapper-config.js';
import { temporaryDirectory } from '../../../support/temporary-directory.js';

export const CUSTODIAN: NewKeyStore = {
  role: 'custodian',
  id: 'custodian-1',
  fleet: 'acme',
  algorithms: ['ed25519'],
  wrapper: { kind: 'none' },
  kem: { epoch: 1, state: 'active' },
};

export async function newStore(
  changes: Partial<NewKeyStore> = {},
): Promise<{ readonly directory: string; readonly store: KeyStore }> {
  const directory = join(await temporaryDirectory(), 'role');
  return { directory, store: await KeyStore.create(directory, { ...CUSTODIAN, ...changes }) };
}

/** A program that encrypts with a key in a file, as a KMS client encrypts with a key elsewhere. */
export async function commandWrapper(name: string): Promise<WrapperConfig & { readonly kind: 'command' }> {
  const directory = await temporaryDirectory();
  await mkdir(directory, { recursive: true });
  const program = join(directory, 'kms.cjs');
  const key = createHash('sha256').update(name).digest('hex');
  await writeFile(
    program,
    `const { createCipheriv, createDecipheriv, randomBytes } = require('node:crypto');
const { readFileSync } = require('node:fs');
const key = Buffer.from('${key}', 'hex');
const data = readFileSync(0);
if (process.argv[2] === 'wrap') {
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  process.stdout.write(Buffer.concat([iv, cipher.update(data), cipher.final(), cipher.getAuthTag()]));
} else {
  const cipher = createDecipheriv('aes-256-gcm', key, data.subarray(0, 12));
  cipher.setAuthTag(data.subarray(-16));
  process.stdout.write(Buffer.concat([cipher.update(data.subarray(12, -16)), cipher.final()]));
}
`,
  );
  return {
    kind: 'command',
    keyId: name,
    wrap: [process.execPath, program, 'wrap'],
    unwrap: [process.execPath, program, 'unwrap'],
  };
}
