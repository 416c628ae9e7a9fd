/** The policy of a role: a file in its directory, the environment, the command line. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { RefusedError } from '../errors.js';
import { type EffectivePolicy, effectivePolicy } from '../policy/effective.js';
import { readPolicyFile } from '../policy/load.js';

const POLICY_FILES = ['policy.yaml', 'policy.yml', 'policy.json'];

export interface RolePolicyOptions {
  /** A file in place of the one in the directory. */
  readonly file?: string | undefined;
  /** Settings from the command line, as a file would write them. */
  readonly overrides?: unknown;
  readonly preset?: string | undefined;
  /** `process.env` unless told. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

async function policyFileIn(directory: string): Promise<string | undefined> {
  const names = await readdir(directory).catch((): string[] => []);
  const found = POLICY_FILES.filter((name) => names.includes(name));
  if (found.length > 1) {
    throw new RefusedError(
      'policy.two-files',
      `${directory} holds ${found.join(' and ')}; which one counts must not depend on their order. Remove one.`,
    );
  }
  return found[0] === undefined ? undefined : join(directory, found[0]);
}

/**
 * Command line before environment before `policy.yaml` (or .yml, .json) in the role's directory before the preset;
 * without a file, the preset "balanced".
 *
 * @throws FormatError `policy.*`; RefusedError `policy.two-files`
 */
export async function readRolePolicy(
  directory: string,
  options: RolePolicyOptions = {},
): Promise<EffectivePolicy> {
  const path = options.file ?? (await policyFileIn(directory));
  return effectivePolicy({
    file: path === undefined ? undefined : await readPolicyFile(path),
    preset: options.preset,
    environment: options.environment ?? process.env,
    overrides: options.overrides,
  });
}
