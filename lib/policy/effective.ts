/** The policy in force on a machine, and where each of its settings comes from. */
import { FormatError } from '../errors.js';
import { type Environment, settingsInEnvironment } from './environment.js';
import type { PolicyFile } from './load.js';
import { type Policy, parsePolicy } from './policy.js';
import {
  DEFAULT_PRESET,
  isPresetName,
  POLICY_PRESET_NAMES,
  type PolicyPresetName,
  presetPolicy,
} from './presets.js';
import { documentOf, SETTINGS, settingsInDocument, valueAt } from './settings.js';

export interface PolicySources {
  /** As `readPolicyFile` gives it. */
  readonly file?: PolicyFile | undefined;
  /** The preset named on the command line; before the environment's and the file's. */
  readonly preset?: string | undefined;
  /** `process.env`, or a part of it. */
  readonly environment: Environment;
  /** Settings from the command line, as a file would write them: `{ training: { bits: 4 } }`. */
  readonly overrides?: unknown;
}

export interface EffectivePolicy {
  readonly policy: Policy;
  readonly preset: PolicyPresetName;
  /** By dotted field: `preset NAME`, `file PATH`, `environment NAME` or `option`. */
  readonly sources: ReadonlyMap<string, string>;
}

/**
 * Puts a policy together: command line before environment before file before preset, setting by setting;
 * lists whole.
 *
 * @throws FormatError `policy.unknown-preset`, `policy.unknown-field`, `policy.unknown-variable`,
 *   `policy.bad-value`, `policy.conflicting-variables`, `policy.contradiction`
 */
export function effectivePolicy(from: PolicySources): EffectivePolicy {
  const environment = settingsInEnvironment(from.environment);
  const preset = requirePresetName(from.preset ?? environment.preset ?? from.file?.preset ?? DEFAULT_PRESET);
  const options = settingsInDocument(from.overrides ?? {}, 'option');
  const base = presetPolicy(preset);

  const values = new Map<string, unknown>();
  const sources = new Map<string, string>();
  for (const setting of SETTINGS) {
    const { field } = setting;
    if (options.has(field)) {
      values.set(field, options.get(field));
      sources.set(field, 'option');
    } else if (environment.values.has(field)) {
      values.set(field, environment.values.get(field));
      sources.set(field, `environment ${environment.names.get(field)}`);
    } else if (from.file?.values.has(field)) {
      values.set(field, from.file.values.get(field));
      sources.set(field, `file ${from.file.path}`);
    } else {
      values.set(field, valueAt(base, setting));
      sources.set(field, `preset ${preset}`);
    }
  }
  const policy = parsePolicy(documentOf(values), (field) => sources.get(field));
  return { policy, preset, sources };
}

function requirePresetName(name: string): PolicyPresetName {
  if (isPresetName(name)) return name;
  throw new FormatError(
    'policy.unknown-preset',
    `There is no preset ${JSON.stringify(name)}; it must be one of ${POLICY_PRESET_NAMES.join(', ')}.`,
  );
}

export interface EffectiveSetting {
  readonly field: string;
  readonly environmentName: string;
  /** `undefined` for an optional setting that is unset. */
  readonly value: unknown;
  readonly source: string;
}

/** All settings with their values and sources, in the order of docs/policies.md: what `doctor` shows. */
export function listEffectiveSettings(effective: EffectivePolicy): EffectiveSetting[] {
  return SETTINGS.map((setting) => ({
    field: setting.field,
    environmentName: setting.environmentName,
    value: valueAt(effective.policy, setting),
    source: effective.sources.get(setting.field) as string,
  }));
}
