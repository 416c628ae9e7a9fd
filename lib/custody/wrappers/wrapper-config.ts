/**
 * `wrapper.json` in a role's directory: how its keys are wrapped. Kinds, paths and labels; no secrets.
 *
 * Relative paths in it are resolved against the role's directory, so that the directory can be moved. The file is 0600
 * nevertheless: whoever may write it chooses the program that sees the keys.
 */
import { resolve } from 'node:path';
import { z } from 'zod';
import { FormatError } from '../../errors.js';
import { replaceFile } from '../../files.js';
import { CommandWrapper, commandConfigSchema } from './command-wrapper.js';
import type { KeyWrapper } from './key-wrapper.js';
import { NoneWrapper, noneConfigSchema } from './none-wrapper.js';
import { PassphraseWrapper, passphraseConfigSchema } from './passphrase-wrapper.js';
import type { ImportPkcs11 } from './pkcs11-library.js';
import { Pkcs11Wrapper, pkcs11ConfigSchema } from './pkcs11-wrapper.js';
import { readPrivateFile } from './private-file.js';

export { newPassphraseConfig } from './passphrase-wrapper.js';

const MAX_FILE_BYTES = 64 * 1024;

export const wrapperConfigSchema = z.discriminatedUnion('kind', [
  noneConfigSchema,
  passphraseConfigSchema,
  pkcs11ConfigSchema,
  commandConfigSchema,
]);

export type WrapperConfig = z.infer<typeof wrapperConfigSchema>;

const documentSchema = z.strictObject({
  format: z.literal('tensorguard-native key wrapper'),
  version: z.literal(1),
  wrapper: wrapperConfigSchema,
});

export interface OpenWrapperOptions {
  /** The role's directory, against which relative paths in the configuration are resolved. */
  readonly directory: string;
  /** For tests, see `PassphraseOptions`. */
  readonly scryptLog2N?: number;
  /** For tests, see `Pkcs11Options`. */
  readonly importPkcs11?: ImportPkcs11;
}

/**
 * Opens the wrapper that a configuration describes. Close it.
 *
 * @throws what `PassphraseWrapper.open` and `Pkcs11Wrapper.open` throw
 */
export async function openWrapper(config: WrapperConfig, options: OpenWrapperOptions): Promise<KeyWrapper> {
  // Absolute before anything else: a later change of the working directory must not change what is meant.
  const resolved = { ...options, directory: resolve(options.directory) };
  switch (config.kind) {
    case 'none':
      return new NoneWrapper();
    case 'passphrase':
      return PassphraseWrapper.open(config, resolved);
    case 'pkcs11':
      return Pkcs11Wrapper.open(config, resolved);
    case 'command':
      return new CommandWrapper(config, resolved);
  }
}

/**
 * Writes `wrapper.json`, mode 0600: whole, or not at all.
 *
 * @throws FormatError `wrapper.bad-config`
 */
export async function writeWrapperConfig(path: string, config: WrapperConfig): Promise<void> {
  const document = { format: 'tensorguard-native key wrapper', version: 1, wrapper: config };
  const text = `${JSON.stringify(parseDocument(path, document), null, 2)}\n`;
  if (Buffer.byteLength(text) > MAX_FILE_BYTES) {
    throw new FormatError('wrapper.bad-config', `${path} would have more than ${MAX_FILE_BYTES} bytes.`);
  }
  await replaceFile(path, text, { mode: 0o600 });
}

/**
 * Reads `wrapper.json`.
 *
 * @throws FormatError `wrapper.bad-config`; what `readPrivateFile` throws
 */
export async function readWrapperConfig(path: string): Promise<WrapperConfig> {
  const bytes = await readPrivateFile(path, MAX_FILE_BYTES);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new FormatError('wrapper.bad-config', `${path} is not JSON in UTF-8. Restore or correct it.`, {
      cause: error,
    });
  }
  return parseDocument(path, value).wrapper;
}

function parseDocument(path: string, value: unknown): z.infer<typeof documentSchema> {
  const result = documentSchema.safeParse(value);
  if (!result.success) {
    const problems = result.error.issues.map(
      (issue) => `${issue.path.join('.') || 'the document'} (${issue.message})`,
    );
    throw new FormatError(
      'wrapper.bad-config',
      `The key wrapper configuration ${path} is wrong in: ${problems.join(', ')}.`,
    );
  }
  return result.data;
}
