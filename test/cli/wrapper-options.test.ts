import { resolve } from 'node:path';
import { expect } from 'chai';
import { Command } from 'commander';
import { addWrapperOptions, type WrapperOptions, wrapperConfigOf } from '../../lib/cli/wrapper-options.js';
import { type WrapperConfig, writeWrapperConfig } from '../../lib/custody/wrappers/wrapper-config.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from './support/temporary-directory.js';

function configOf(...args: string[]): Promise<WrapperConfig> {
  const command = addWrapperOptions(new Command().exitOverride());
  return wrapperConfigOf(command.parse(args, { from: 'user' }).opts<WrapperOptions>());
}

const pkcs11 = ['--wrapper', 'pkcs11', '--module', 'hsm.so', '--token', 't', '--key-label', 'k'];

describe('the options of key wrappers', () => {
  it('are none unless asked for', async () => {
    expect(await configOf()).to.deep.equal({ kind: 'none' });
  });

  it('name the file of a passphrase, wherever the command is run, with a salt of its own', async () => {
    const args = ['--wrapper', 'passphrase', '--passphrase-file', 'secrets/pass'];
    const [first, second] = [await configOf(...args), await configOf(...args)];
    expect(first).to.deep.include({ kind: 'passphrase', passphraseFile: resolve('secrets/pass') });
    expect(first).not.to.deep.equal(second);
  });

  it('name the key of an HSM and the file of its PIN', async () => {
    expect(await configOf(...pkcs11, '--pin-file', 'pin')).to.deep.equal({
      ...{
        kind: 'pkcs11',
        module: resolve('hsm.so'),
        tokenLabel: 't',
        keyLabel: 'k',
        pinFile: resolve('pin'),
      },
    });
  });

  it('name a file that names the programs', async () => {
    const path = `${await temporaryDirectory()}/wrapper.json`;
    const config = { kind: 'command', wrap: ['/bin/a'], unwrap: ['/bin/b'], keyId: 'alias/robots' } as const;
    await writeWrapperConfig(path, { ...config, wrap: ['/bin/a'], unwrap: ['/bin/b'] });
    expect(await configOf('--wrapper', 'command', '--wrapper-config', path)).to.deep.equal(config);
    await writeWrapperConfig(path, { kind: 'none' });
    await expectRefusal('usage.wrapper-options', () =>
      configOf('--wrapper', 'command', '--wrapper-config', path),
    );
  });

  it('are refused where one is missing or of another kind', async () => {
    const missing = await expectRefusal('usage.wrapper-options', () => configOf(...pkcs11));
    expect(missing.message).to.equal('--wrapper pkcs11 needs --pin-file.');
    const other = await expectRefusal('usage.wrapper-options', () => configOf('--pin-file', 'pin'));
    expect(other.message).to.equal('--wrapper none takes no --pin-file.');
  });
});
