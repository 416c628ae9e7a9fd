/** How a role's keys are wrapped while they rest, from the command line: paths and labels, never a secret. */
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import {
  newPassphraseConfig,
  readWrapperConfig,
  type WrapperConfig,
} from '../custody/wrappers/wrapper-config.js';
import { UsageError } from '../errors.js';

const KINDS = ['none', 'passphrase', 'pkcs11', 'command'] as const;

export interface WrapperOptions {
  readonly wrapper: (typeof KINDS)[number];
  readonly passphraseFile?: string;
  readonly module?: string;
  readonly token?: string;
  readonly keyLabel?: string;
  readonly pinFile?: string;
  readonly wrapperConfig?: string;
}

type WrapperField = Exclude<keyof WrapperOptions, 'wrapper'>;

/** Each kind's options, all of them required. */
const FIELDS: Readonly<Record<WrapperOptions['wrapper'], readonly WrapperField[]>> = {
  none: [],
  passphrase: ['passphraseFile'],
  pkcs11: ['module', 'token', 'keyLabel', 'pinFile'],
  command: ['wrapperConfig'],
};

const FLAGS: Readonly<Record<WrapperField, string>> = {
  passphraseFile: '--passphrase-file',
  module: '--module',
  token: '--token',
  keyLabel: '--key-label',
  pinFile: '--pin-file',
  wrapperConfig: '--wrapper-config',
};

export function addWrapperOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--wrapper <kind>', 'what wraps the private keys while they rest')
        .choices([...KINDS])
        .default('none'),
    )
    .option(`${FLAGS.passphraseFile} <file>`, 'passphrase: the file that holds it (mode 0600)')
    .option(`${FLAGS.module} <file>`, "pkcs11: the HSM vendor's library")
    .option(`${FLAGS.token} <label>`, 'pkcs11: the label of the token')
    .option(`${FLAGS.keyLabel} <label>`, 'pkcs11: the label of the AES key, which never leaves the token')
    .option(`${FLAGS.pinFile} <file>`, 'pkcs11: the file that holds the PIN (mode 0600)')
    .option(`${FLAGS.wrapperConfig} <file>`, 'command: a wrapper.json that names the programs');
}

export const UNWRAPPED_WARNING =
  'Warning: the private keys rest unwrapped (mode 0600): whoever copies the disk has them. Use --wrapper.';

/**
 * Relative paths are taken from the working directory, as everywhere on the command line.
 *
 * @throws UsageError `usage.wrapper-options` for an option that is missing, or of another kind
 * @throws FormatError `wrapper.bad-config`; what `readPrivateFile` throws
 */
export async function wrapperConfigOf(options: WrapperOptions): Promise<WrapperConfig> {
  const { wrapper: kind } = options;
  for (const field of Object.keys(FLAGS) as WrapperField[]) {
    const needed = FIELDS[kind].includes(field);
    if ((options[field] !== undefined) === needed) continue;
    throw new UsageError(
      'usage.wrapper-options',
      needed ? `--wrapper ${kind} needs ${FLAGS[field]}.` : `--wrapper ${kind} takes no ${FLAGS[field]}.`,
    );
  }
  const { passphraseFile = '', module = '', token = '', keyLabel = '', pinFile = '' } = options;
  switch (kind) {
    case 'none':
      return { kind };
    case 'passphrase':
      return newPassphraseConfig(resolve(passphraseFile));
    case 'pkcs11':
      return { kind, module: resolve(module), tokenLabel: token, keyLabel, pinFile: resolve(pinFile) };
    case 'command':
      return commandConfig(options.wrapperConfig ?? '');
  }
}

async function commandConfig(path: string): Promise<WrapperConfig> {
  const config = await readWrapperConfig(path);
  if (config.kind === 'command') return config;
  throw new UsageError(
    'usage.wrapper-options',
    `${path} describes a wrapper of kind "${config.kind}". Use --wrapper ${config.kind} with its options.`,
  );
}
