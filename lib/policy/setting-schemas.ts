/**
 * Schemas of single settings. Each carries what it allows and what it means, from which refusals, the
 * names of environment variables and the table in docs/policies.md are made.
 */
import { z } from 'zod';

export interface SettingText {
  /** What the setting accepts, as it follows "must be". */
  readonly allowed: string;
  /** What the setting does, for an operator. */
  readonly meaning: string;
}

const MAX_LIST_LENGTH = 256;

function described<T extends z.ZodType>(schema: T, allowed: string, meaning: string): T {
  return schema.meta({ allowed, description: meaning });
}

/** What a setting's schema says about itself; an optional one speaks through the schema that it wraps. */
export function settingText(schema: z.ZodType): SettingText {
  const meta = (schema instanceof z.ZodOptional ? (schema.unwrap() as z.ZodType) : schema).meta();
  return { allowed: String(meta?.['allowed']), meaning: String(meta?.description) };
}

/** An integer in [min, max]. */
export function integerSetting(min: number, max: number, meaning: string) {
  const allowed = `an integer from ${min} to ${max}`;
  const error = `must be ${allowed}`;
  return described(z.int({ error }).min(min, { error }).max(max, { error }), allowed, meaning);
}

/** A finite number in [min, max]. */
export function numberSetting(min: number, max: number, meaning: string) {
  const allowed = `a number from ${min} to ${max}`;
  const error = `must be ${allowed}`;
  return described(z.number({ error }).min(min, { error }).max(max, { error }), allowed, meaning);
}

/** A finite number in (0, max]. */
export function positiveSetting(max: number, meaning: string) {
  const allowed = `a number above 0, at most ${max}`;
  const error = `must be ${allowed}`;
  return described(z.number({ error }).gt(0, { error }).max(max, { error }), allowed, meaning);
}

/** A finite number in (0, max], or one word in its place. */
export function positiveOrWordSetting<const W extends string>(max: number, word: W, meaning: string) {
  const allowed = `a number above 0, at most ${max}, or "${word}"`;
  const error = `must be ${allowed}`;
  return described(z.union([z.number().gt(0).max(max), z.literal(word)], { error }), allowed, meaning);
}

export function booleanSetting(meaning: string) {
  return described(z.boolean({ error: 'must be true or false' }), 'true or false', meaning);
}

/** A value that cannot be changed: written down so that a file that tries to is refused, not ignored. */
export function fixedSetting<const V extends boolean>(value: V, meaning: string) {
  const allowed = `${value}`;
  return described(z.literal(value, { error: `must be ${allowed}` }), allowed, meaning);
}

export function choiceSetting<const V extends string | number>(values: readonly V[], meaning: string) {
  const allowed = `one of ${values.join(', ')}`;
  return described(z.literal([...values], { error: `must be ${allowed}` }), allowed, meaning);
}

function hasRepetition(values: readonly string[]): boolean {
  return new Set(values).size !== values.length;
}

/**
 * A list whose order means nothing. It is sorted on the way in, so that two spellings of one policy have
 * one fingerprint.
 */
function setOf<T extends string>(element: z.ZodType<T>, min: number, allowed: string, meaning: string) {
  const error = `must be ${allowed}`;
  return described(
    z
      .array(element, { error })
      .min(min, { error })
      .max(MAX_LIST_LENGTH, { error })
      .refine((values) => !hasRepetition(values), { error: `must be ${allowed}; one occurs twice` })
      .overwrite((values) => [...values].sort()),
    allowed,
    meaning,
  );
}

export function choicesSetting<const V extends string>(values: readonly V[], meaning: string) {
  return setOf(
    z.enum([...values] as [V, ...V[]], { error: `must be one of ${values.join(', ')}` }) as z.ZodType<V>,
    1,
    `a list of at least one of ${values.join(', ')}`,
    meaning,
  );
}

/** The types that Hugging Face PEFT knows grow with every release, so only their form is checked. */
export function peftTypesSetting(meaning: string) {
  const element = z.string().regex(/^[A-Z][A-Z0-9_]{0,31}$/, {
    error: 'must be a PEFT type as adapter_config.json spells it: LORA, IA3',
  });
  return setOf(
    element,
    1,
    'a list of at least one PEFT type, in capitals as adapter_config.json has it',
    meaning,
  );
}

// A comma separates patterns in an environment variable, and no module's name has one.
const patternSchema = z.string().regex(/^[\x21-\x2b\x2d-\x7e]{1,256}$/, {
  error:
    'must be 1 to 256 printable ASCII characters without spaces and commas: a module name, in which * stands for anything but a dot and ** for anything',
});

/** Patterns over dotted module names; see patterns.ts. */
export function patternsSetting(min: 0 | 1, meaning: string) {
  const allowed = min === 0 ? 'a list of module patterns' : 'a list of at least one module pattern';
  return setOf(patternSchema, min, allowed, meaning);
}

/** A list of objects, in the order in which they are tried. */
export function entriesSetting<T extends z.ZodType>(entry: T, max: number, allowed: string, meaning: string) {
  const error = `must be ${allowed}`;
  return described(z.array(entry, { error }).max(max, { error }), allowed, meaning);
}
