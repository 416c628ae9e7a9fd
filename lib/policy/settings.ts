/**
 * The settings of a policy, one by one: derived from the schema, so that files, environment variables,
 * fingerprints and documents cover each of them without naming any.
 */
import { z } from 'zod';
import { FormatError } from '../errors.js';
import { fieldPath, policySchema } from './policy.js';
import { settingText } from './setting-schemas.js';

export interface Setting {
  /** Dotted: `training.gradientNorm.max`. */
  readonly field: string;
  readonly path: readonly string[];
  /** `TENSORGUARD_TRAINING_GRADIENT_NORM_MAX`. */
  readonly environmentName: string;
  readonly isList: boolean;
  /** It may be unset, by `null` in a file and by `none` in the environment. */
  readonly isOptional: boolean;
  readonly schema: z.ZodType;
  readonly allowed: string;
  readonly meaning: string;
}

const ENVIRONMENT_PREFIX = 'TENSORGUARD_';

/** TENSORGUARD_SECTION_FIELD, in capitals, words apart. */
export function environmentNameOf(path: readonly string[]): string {
  const words = path.map((part) => part.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase());
  return ENVIRONMENT_PREFIX + words.join('_');
}

function settingsBelow(schema: z.ZodType, path: readonly string[]): Setting[] {
  if (schema instanceof z.ZodObject) {
    return Object.entries(schema.shape as Record<string, z.ZodType>).flatMap(([name, field]) =>
      settingsBelow(field, [...path, name]),
    );
  }
  const isOptional = schema instanceof z.ZodOptional;
  const setting: Setting = {
    field: path.join('.'),
    path,
    environmentName: environmentNameOf(path),
    isList: schema instanceof z.ZodArray,
    isOptional,
    schema,
    ...settingText(schema),
  };
  return [setting];
}

/** Every setting, in the order of the schema. */
export const SETTINGS: readonly Setting[] = settingsBelow(policySchema, []);

const SETTINGS_BY_FIELD = new Map(SETTINGS.map((setting) => [setting.field, setting]));

/** A number in place of an object stands for each of the object's fields. */
export const SHORTHANDS: ReadonlyMap<string, readonly string[]> = new Map([
  ['training.bits', ['training.bits.min', 'training.bits.max']],
]);

/**
 * What one source (a file, the environment, the command line) sets: checked values by dotted field. An
 * optional setting that the source unsets is there, as `undefined`.
 */
export type SettingValues = ReadonlyMap<string, unknown>;

/** @throws Error for a field that does not exist; callers name fields of the schema only */
export function settingOf(field: string): Setting {
  const setting = SETTINGS_BY_FIELD.get(field);
  if (setting === undefined) throw new Error(`no setting is called ${field}`);
  return setting;
}

/**
 * Checks one value.
 *
 * @param where names source and field for the message: `fleet.yaml: privacy.epsilon`
 * @throws FormatError `policy.bad-value`
 */
export function checkSetting(setting: Setting, value: unknown, where: string): unknown {
  if (value === null && setting.isOptional) return undefined;
  const parsed = setting.schema.safeParse(value);
  if (parsed.success && value !== undefined) return parsed.data;
  const [issue] = parsed.success ? [] : parsed.error.issues;
  const inside = issue === undefined || issue.path.length === 0 ? '' : ` ${fieldPath(issue.path)}`;
  const message = issue === undefined ? 'has no value' : issue.message;
  throw new FormatError(
    'policy.bad-value',
    `${where}${inside} ${message}; it is ${shown(value)}. Allowed is ${setting.allowed}.`,
  );
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The settings in a document such as `{ privacy: { epsilon: 2 } }`. Whatever it does not mention is left
 * to other sources.
 *
 * @param source names the document in messages
 * @throws FormatError `policy.unknown-field`, `policy.bad-value`
 */
export function settingsInDocument(document: unknown, source: string): SettingValues {
  const values = new Map<string, unknown>();
  readSettings(document, policySchema, [], source, values);
  return values;
}

function readSettings(
  value: unknown,
  schema: z.ZodType,
  path: readonly string[],
  source: string,
  values: Map<string, unknown>,
): void {
  const field = path.join('.');
  if (!(schema instanceof z.ZodObject)) {
    values.set(field, checkSetting(settingOf(field), value, `${source}: ${field}`));
    return;
  }
  const shorthand = SHORTHANDS.get(field);
  if (shorthand !== undefined && typeof value === 'number') {
    for (const part of shorthand) {
      values.set(part, checkSetting(settingOf(part), value, `${source}: ${field}`));
    }
    return;
  }
  const shape = schema.shape as Record<string, z.ZodType>;
  const names = Object.keys(shape).join(', ');
  if (!isRecord(value)) {
    throw new FormatError(
      'policy.bad-value',
      `${source}: ${field || 'the document'} must be an object with any of ${names}${shorthand ? ', or a number' : ''}; it is ${shown(value)}.`,
    );
  }
  for (const [name, inner] of Object.entries(value)) {
    if (!Object.hasOwn(shape, name)) {
      throw new FormatError(
        'policy.unknown-field',
        `${source}: ${[...path, name].join('.')} is no setting. ${field || 'A policy'} has ${names}.`,
      );
    }
    readSettings(inner, shape[name] as z.ZodType, [...path, name], source, values);
  }
}

/** The document that holds `values`; those that are `undefined` are left out. */
export function documentOf(values: SettingValues): Record<string, unknown> {
  const document: Record<string, unknown> = {};
  for (const [field, value] of values) {
    if (value === undefined) continue;
    const path = settingOf(field).path;
    let at = document;
    for (const part of path.slice(0, -1)) {
      at[part] ??= {};
      at = at[part] as Record<string, unknown>;
    }
    at[path[path.length - 1] as string] = value;
  }
  return document;
}

/** The value of a setting in a document such as a policy; `undefined` where it is unset. */
export function valueAt(document: unknown, setting: Setting): unknown {
  return setting.path.reduce<unknown>(
    (at, part) => (isRecord(at) && Object.hasOwn(at, part) ? at[part] : undefined),
    document,
  );
}
