/** Values of options, checked where they enter. */
import { InvalidArgumentError, Option } from 'commander';
import { PARAMETER_SET_NAMES } from '../lwe/parameters.js';

/** A parser for whole numbers within bounds, for commander. */
export function integerOption(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

export function positiveNumberOption(text: string): number {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value))
    throw new InvalidArgumentError('It must be a positive number.');
  return value;
}

export function parameterSetOption(): Option {
  return new Option('--params <name>', 'parameter set').choices([...PARAMETER_SET_NAMES]).default('lwe-192');
}

/** What a preset decides in this version; policies add the rest. */
export const PRESETS = {
  conservative: { quorum: 5, maxUpdateBytes: 1_000_000 },
  balanced: { quorum: 3, maxUpdateBytes: 5_000_000 },
  performance: { quorum: 3, maxUpdateBytes: 2_000_000 },
} as const;

export type PresetName = keyof typeof PRESETS;
export const PRESET_NAMES = Object.keys(PRESETS) as PresetName[];
