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
