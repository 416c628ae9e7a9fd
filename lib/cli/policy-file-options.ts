/** The policy that a new role starts with, from the command line: a file of its directory. */
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { type Command, Option } from 'commander';
import { type EffectivePolicy, effectivePolicy } from '../policy/effective.js';
import { readPolicyFile } from '../policy/load.js';
import { POLICY_PRESET_NAMES, type PolicyPresetName } from '../policy/presets.js';
import type { PolicyText } from '../round/role-state.js';

export interface PolicyFileOptions {
  readonly preset?: PolicyPresetName;
  readonly policy?: string;
}

export function addPolicyFileOptions(command: Command): Command {
  return (
    command
      // A file names its preset itself: beside it, this one would be of no effect in the copy.
      .addOption(
        new Option('--preset <name>', 'policy preset (default: balanced)')
          .choices([...POLICY_PRESET_NAMES])
          .conflicts('policy'),
      )
      .option('--policy <file>', 'the policy to start with (.yaml, .json)')
  );
}

export interface NewPolicy extends Pick<EffectivePolicy, 'policy' | 'preset'> {
  readonly file: PolicyText;
}

/**
 * A copy of the file that was named, or one with the preset and `settings`; checked as the role will check it.
 *
 * @param settings as a policy file would write them, for where no file is named
 * @throws EnvironmentError, FormatError `policy.*`
 */
export async function newPolicy(
  { preset: named, policy: path }: PolicyFileOptions,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<NewPolicy> {
  if (path === undefined) {
    const { policy, preset } = effectivePolicy({ preset: named, environment: {}, overrides: settings });
    const text = `${JSON.stringify({ preset, ...settings }, null, 2)}\n`;
    return { policy, preset, file: { name: 'policy.json', text } };
  }
  const { policy, preset } = effectivePolicy({ file: await readPolicyFile(path), environment: {} });
  const name = `policy${extname(path).toLowerCase()}`;
  return { policy, preset, file: { name, text: await readFile(path, 'utf8') } };
}
