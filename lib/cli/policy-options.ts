/** Options that set something of a policy: `--set training.keepRatio=0.1`, and short forms of the frequent ones. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parse } from 'yaml';
import { integerOption, positiveNumberOption } from './options.js';

export interface PolicyOptions {
  readonly policy?: string;
  readonly set?: unknown;
}

function assigned(
  target: Record<string, unknown>,
  path: readonly string[],
  value: unknown,
): Record<string, unknown> {
  const [head, ...rest] = path as [string, ...string[]];
  const inner = target[head];
  return {
    ...target,
    [head]:
      rest.length === 0
        ? value
        : assigned(typeof inner === 'object' && inner !== null ? { ...inner } : {}, rest, value),
  };
}

/** Collects `field=value` assignments into a document of the shape that a policy file has. */
function collect(text: string, earlier: Record<string, unknown> = {}): Record<string, unknown> {
  const at = text.indexOf('=');
  const path = text.slice(0, at).split('.');
  if (at < 1 || path.some((part) => !/^[a-zA-Z]+$/.test(part))) {
    throw new InvalidArgumentError('Give it as field=value, for example training.keepRatio=0.1.');
  }
  try {
    return assigned(earlier, path, parse(text.slice(at + 1), { maxAliasCount: 0 }));
  } catch {
    throw new InvalidArgumentError(`"${text.slice(at + 1)}" is no value: write it as in YAML.`);
  }
}

/** `--policy` and `--set`, which every command has that a policy bounds. */
export function policyOptions(command: Command): Command {
  return command
    .option('--policy <file>', "a policy in place of the one in the role's directory (.yaml, .json)")
    .option('--set <field=value>', 'one setting of the policy; may be repeated', collect);
}

export interface CompressionOptions extends PolicyOptions {
  readonly bits?: number | { readonly min: number; readonly max: number };
  readonly keep?: number | 'auto';
  readonly rotation: boolean;
  readonly loraMode?: string;
  readonly fullLayers?: string[];
  readonly maxError?: number;
  readonly dp?: string;
  readonly noise?: number;
}

function bitsOption(text: string): number | { min: number; max: number } {
  const [low, high] = text.split('-');
  const bits = integerOption(2, 8);
  if (high === undefined) return bits(low as string);
  return { min: bits(low as string), max: bits(high) };
}

function keepOption(text: string): number | 'auto' {
  if (text === 'auto') return text;
  const ratio = positiveNumberOption(text);
  if (ratio > 1) throw new InvalidArgumentError('It must be above 0 and at most 1, or "auto".');
  return ratio;
}

/** What a coordinator decides for one round. */
export function compressionOptions(command: Command): Command {
  return policyOptions(command)
    .option(
      '--bits <b>',
      'bits a value, 2 to 8, or a range that each tensor gets its own from: 2-8',
      bitsOption,
    )
    .option('--keep <ratio>', 'share of the coordinates that is sent, or "auto": what fits', keepOption)
    .option('--no-rotation', 'quantize the coordinates as they are')
    .addOption(new Option('--lora-mode <mode>', 'what is averaged').choices(['average', 'frozen-a']))
    .option(
      '--full-layers <patterns...>',
      'modules whose full tensors may ride along, such as a classifier head',
    )
    .option('--max-error <e>', 'largest relative error that is accepted', positiveNumberOption)
    .addOption(
      new Option('--dp <mechanism>', 'differential privacy').choices([
        'none',
        'skellam',
        'discrete-gaussian',
      ]),
    )
    .option('--noise <multiplier>', 'noise multiplier', positiveNumberOption);
}

/** The settings that the options name, as a policy file would write them; the short forms last. */
export function policyOverrides(options: Partial<CompressionOptions>): Record<string, unknown> {
  const short: [path: string, value: unknown][] = [
    ['training.bits', options.bits],
    ['training.keepRatio', options.keep],
    ['training.rotation', options.rotation === false ? false : undefined],
    ['training.loraMode', options.loraMode],
    ['training.maxRelativeError', options.maxError],
    ['envelope.fullLayers', options.fullLayers],
    ['privacy.mechanism', options.dp],
    ['privacy.noiseMultiplier', options.noise],
  ];
  return short
    .filter(([, value]) => value !== undefined)
    .reduce(
      (document, [path, value]) => assigned(document, path.split('.'), value),
      (options.set ?? {}) as Record<string, unknown>,
    );
}
