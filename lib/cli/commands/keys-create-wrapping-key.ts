import { resolve } from 'node:path';
import type { Command } from 'commander';
import { createPkcs11Key } from '../../custody/wrappers/pkcs11-wrapper.js';
import type { Output } from '../output.js';

interface WrappingKeyOptions {
  readonly module: string;
  readonly token: string;
  readonly keyLabel: string;
  readonly pinFile: string;
}

export function keysCreateWrappingKeyCommand(command: Command, output: () => Output): Command {
  return command
    .description('make an AES-256 key in an HSM, which never leaves it, to wrap keys with')
    .requiredOption('--module <file>', "the HSM vendor's library (PKCS#11)")
    .requiredOption('--token <label>', 'the label of the token')
    .requiredOption('--key-label <label>', 'the label of the new key')
    .requiredOption('--pin-file <file>', 'the file that holds the PIN (mode 0600)')
    .action(async ({ module, token, keyLabel, pinFile }: WrappingKeyOptions) => {
      const id = await createPkcs11Key(
        { kind: 'pkcs11', module: resolve(module), tokenLabel: token, keyLabel, pinFile: resolve(pinFile) },
        { directory: process.cwd() },
      );
      output().result({ wrapper: id, token, keyLabel }, [`Made "${keyLabel}" in token "${token}": ${id}.`]);
    });
}
