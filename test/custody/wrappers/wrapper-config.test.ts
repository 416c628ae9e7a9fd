import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  newPassphraseConfig,
  openWrapper,
  readWrapperConfig,
  type WrapperConfig,
  writeWrapperConfig,
} from '../../../lib/custody/wrappers/wrapper-config.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { contentOf, secretOf } from './support/secrets.js';

const SALT = '00112233445566778899aabbccddeeff';

const command = {
  kind: 'command',
  wrap: ['/bin/wrap', '--now'],
  unwrap: ['/bin/unwrap'],
  keyId: 'arn:aws:kms:eu-west-1:1:key/a',
} as const;

const pkcs11 = {
  kind: 'pkcs11',
  module: '/usr/lib/vendor.so',
  tokenLabel: 'custody',
  keyLabel: 'wrapping-1',
  pinFile: 'pin',
} as const;

const valid: readonly unknown[] = [
  { kind: 'none' },
  { kind: 'passphrase', passphraseFile: 'passphrase', salt: SALT },
  pkcs11,
  { ...pkcs11, tokenSerial: 'a9f30746bcdc0af6' },
  command,
  { ...command, timeoutSeconds: 600, environment: ['AWS_PROFILE'] },
];

const invalid: readonly unknown[] = [
  undefined,
  'none',
  {},
  { kind: 'other' },
  { kind: 'none', extra: 1 },
  { kind: 'passphrase', passphraseFile: 'p' },
  { kind: 'passphrase', passphraseFile: '', salt: SALT },
  { kind: 'passphrase', passphraseFile: 'p', salt: SALT.slice(2) },
  { kind: 'passphrase', passphraseFile: 'p', salt: SALT.toUpperCase() },
  { kind: 'passphrase', passphraseFile: 'p', salt: SALT, passphrase: 'inline' },
  { ...pkcs11, pin: '1234' },
  { ...pkcs11, keyLabel: '' },
  { ...pkcs11, tokenLabel: 'x'.repeat(33) },
  { ...command, wrap: [] },
  { ...command, wrap: ['wrap'] },
  { ...command, unwrap: ['./unwrap'] },
  { ...command, wrap: '/bin/wrap --now' },
  { ...command, wrap: ['/bin/wrap', 'a\0b'] },
  { ...command, keyId: '' },
  { ...command, keyId: 'two words' },
  { ...command, timeoutSeconds: 0 },
  { ...command, timeoutSeconds: 601 },
  { ...command, timeoutSeconds: 1.5 },
  { ...command, environment: ['A=B'] },
  { ...command, shell: true },
];

async function written(content: unknown, mode = 0o600): Promise<string> {
  const path = join(await temporaryDirectory(), 'wrapper.json');
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  await chmod(path, mode);
  return path;
}

const documentOf = (wrapper: unknown) => ({ format: 'tensorguard-native key wrapper', version: 1, wrapper });

describe('wrapper.json', () => {
  it('gives back every kind that was written, mode 0600, and leaves nothing beside it', async () => {
    for (const config of valid) {
      const directory = await temporaryDirectory();
      const path = join(directory, 'wrapper.json');
      await writeWrapperConfig(path, config as WrapperConfig);
      expect(await readWrapperConfig(path)).to.deep.equal(config);
      expect((await stat(path)).mode & 0o777).to.equal(0o600);
      expect(await readdir(directory)).to.deep.equal(['wrapper.json']);
    }
  });

  it('is neither written nor read with a wrong or unknown field', async () => {
    for (const config of invalid) {
      const path = await written(documentOf(config));
      const before = await readFile(path);
      await expectRefusal('wrapper.bad-config', () => readWrapperConfig(path));
      await expectRefusal('wrapper.bad-config', () => writeWrapperConfig(path, config as WrapperConfig));
      expect((await readFile(path)).equals(before)).to.equal(true);
    }
    for (const document of [
      { ...documentOf({ kind: 'none' }), version: 2 },
      { ...documentOf({ kind: 'none' }), more: 1 },
      { ...documentOf({ kind: 'none' }), format: 'other' },
      [],
      'null',
      '{',
      '',
    ]) {
      const path = await written(document);
      await expectRefusal('wrapper.bad-config', () => readWrapperConfig(path));
    }
  });

  it('is refused where others may touch it, where it is too large, and where it is missing', async () => {
    const loose = await written(documentOf({ kind: 'none' }), 0o660);
    await expectRefusal('wrapper.file-permissions', () => readWrapperConfig(loose));
    const large = await written(`${JSON.stringify(documentOf({ kind: 'none' }))}${' '.repeat(64 * 1024)}`);
    await expectRefusal('wrapper.file-size', () => readWrapperConfig(large));
    await expectRefusal('wrapper.file-missing', () => readWrapperConfig(`${large}.absent`));
  });
});

describe('opening a key wrapper', () => {
  it('finds files beside the configuration, wherever the process runs', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'passphrase'), 'correct horse battery\n', { mode: 0o600 });
    const config = newPassphraseConfig('passphrase');
    expect(newPassphraseConfig('passphrase')).not.to.deep.equal(config);
    const wrapper = await openWrapper(config, { directory, scryptLog2N: 10 });
    expect(wrapper.describe().detail).to.deep.equal({ passphraseFile: join(directory, 'passphrase') });
    const wrapped = await wrapper.wrap(secretOf('a'));
    expect(contentOf(await wrapper.unwrap(wrapped))).to.equal(contentOf(secretOf('a')));
    await wrapper.close();
  });

  it('makes the wrapper of each kind, and imports the HSM package for that kind alone', async () => {
    const directory = await temporaryDirectory();
    let imports = 0;
    const importPkcs11 = async () => {
      imports += 1;
      throw new Error('not installed');
    };
    for (const [config, id] of [
      [{ kind: 'none' }, 'none'],
      [{ ...command, wrap: ['/bin/cat'], unwrap: ['/bin/cat'] }, `command:${command.keyId}`],
    ] satisfies [WrapperConfig, string][]) {
      const wrapper = await openWrapper(config, { directory, importPkcs11 });
      expect(wrapper.describe().id).to.equal(id);
      await wrapper.close();
    }
    expect(imports).to.equal(0);
    await expectRefusal('wrapper.pkcs11-package', () => openWrapper(pkcs11, { directory, importPkcs11 }));
    expect(imports).to.equal(1);
  });
});
