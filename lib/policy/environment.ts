/**
 * Settings from environment variables: each setting has one, named after it. A misspelt name is an error
 * and not ignored, since the setting that it meant would silently keep a weaker value.
 */
import { FormatError } from '../errors.js';
import { isPresetName, POLICY_PRESET_NAMES, type PolicyPresetName } from './presets.js';
import {
  checkSetting,
  environmentNameOf,
  SETTINGS,
  type Setting,
  type SettingValues,
  SHORTHANDS,
  settingOf,
} from './settings.js';

export type Environment = Readonly<Record<string, string | undefined>>;

export const PRESET_VARIABLE = 'TENSORGUARD_PRESET';
export const LOG_LEVEL_VARIABLE = 'TENSORGUARD_LOG_LEVEL';

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
const DEFAULT_LOG_LEVEL: LogLevel = 'info';

/** Other names of settings: TensorGuard's own short ones, and the one for both ends of a range. */
export const ENVIRONMENT_ALIASES: ReadonlyMap<string, readonly string[]> = new Map([
  ['TENSORGUARD_SECURITY_LEVEL', ['encryption.securityLevel']],
  ['TENSORGUARD_DP_EPSILON', ['privacy.epsilon']],
  ['TENSORGUARD_DEFAULT_SPARSITY', ['training.keepRatio']],
  ['TENSORGUARD_MAX_GRADIENT_NORM', ['training.gradientNorm.max']],
  ...[...SHORTHANDS].map(([field, parts]): [string, readonly string[]] => [
    environmentNameOf(field.split('.')),
    parts,
  ]),
]);

/** The names whose beginning claims them for a section: TENSORGUARD_PRIVACY, TENSORGUARD_PRIVACY_... */
const SECTION_PREFIXES = [...new Set(SETTINGS.map(({ path }) => environmentNameOf(path.slice(0, 1))))];

export interface EnvironmentSettings {
  readonly preset?: PolicyPresetName;
  readonly values: SettingValues;
  /** The variable that each value came from, by field. */
  readonly names: ReadonlyMap<string, string>;
}

function isSet(text: string | undefined): text is string {
  return text !== undefined && text.trim() !== '';
}

/**
 * The settings in an environment such as `process.env`. An empty variable counts as unset.
 *
 * @throws FormatError `policy.unknown-variable` for a name that begins like a section's and is no setting's;
 *   `policy.bad-value`; `policy.conflicting-variables` where two names of one setting disagree;
 *   `policy.unknown-preset`
 */
export function settingsInEnvironment(environment: Environment): EnvironmentSettings {
  refuseUnknownNames(environment);
  const values = new Map<string, unknown>();
  const names = new Map<string, string>();
  const read = (name: string, setting: Setting) => {
    const text = environment[name];
    if (!isSet(text)) return;
    const where = `environment ${name}`;
    const value = checkSetting(setting, valueInText(text.trim(), setting, where), where);
    const other = names.get(setting.field);
    // Both values are scalars: no list has two names.
    if (other !== undefined && values.get(setting.field) !== value) {
      throw new FormatError(
        'policy.conflicting-variables',
        `${other} is ${environment[other]} and ${name} is ${text}; both set ${setting.field}. Unset one of them.`,
      );
    }
    if (other !== undefined) return;
    values.set(setting.field, value);
    names.set(setting.field, name);
  };
  for (const setting of SETTINGS) read(setting.environmentName, setting);
  for (const [name, fields] of ENVIRONMENT_ALIASES) for (const field of fields) read(name, settingOf(field));
  const preset = presetIn(environment);
  return preset === undefined ? { values, names } : { preset, values, names };
}

function refuseUnknownNames(environment: Environment): void {
  const known = new Set([
    ...SETTINGS.map(({ environmentName }) => environmentName),
    ...ENVIRONMENT_ALIASES.keys(),
  ]);
  for (const [name, text] of Object.entries(environment)) {
    if (!isSet(text) || known.has(name)) continue;
    const section = SECTION_PREFIXES.find((prefix) => name === prefix || name.startsWith(`${prefix}_`));
    if (section === undefined) continue;
    const names = [...known].filter((other) => other === section || other.startsWith(`${section}_`));
    throw new FormatError(
      'policy.unknown-variable',
      `The environment variable ${name} is no setting. There are ${names.join(', ')}.`,
    );
  }
}

/** What a variable's text stands for. Lists are comma-separated, or JSON where they begin with a bracket. */
function valueInText(text: string, setting: Setting, where: string): unknown {
  if (setting.isList) {
    if (!text.startsWith('[')) return text.split(',').map((element) => element.trim());
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new FormatError(
        'policy.bad-value',
        `${where} begins with a bracket and is not JSON: ${(cause as Error).message}. Allowed is ${setting.allowed}.`,
        { cause },
      );
    }
  }
  if (setting.isOptional && text === 'none') return null;
  if (/^[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(text)) return Number(text);
  if (text === 'true' || text === 'false') return text === 'true';
  return text;
}

function presetIn(environment: Environment): PolicyPresetName | undefined {
  const text = environment[PRESET_VARIABLE];
  if (!isSet(text)) return undefined;
  const name = text.trim();
  if (isPresetName(name)) return name;
  throw new FormatError(
    'policy.unknown-preset',
    `environment ${PRESET_VARIABLE} is ${JSON.stringify(text)}; it must be one of ${POLICY_PRESET_NAMES.join(', ')}.`,
  );
}

/**
 * How much a process logs. It belongs to the process and not to a policy.
 *
 * @throws FormatError `policy.bad-value`
 */
export function logLevelIn(environment: Environment): LogLevel {
  const text = environment[LOG_LEVEL_VARIABLE];
  if (!isSet(text)) return DEFAULT_LOG_LEVEL;
  const level = LOG_LEVELS.find((name) => name === text.trim());
  if (level !== undefined) return level;
  throw new FormatError(
    'policy.bad-value',
    `environment ${LOG_LEVEL_VARIABLE} is ${JSON.stringify(text)}; it must be one of ${LOG_LEVELS.join(', ')}.`,
  );
}
