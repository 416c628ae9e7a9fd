/** Range checks shared by the allocation's functions: one code, and a message that names the argument. */
import { ParameterError } from '../../errors.js';

function refuse(name: string, value: number, admitted: string): never {
  throw new ParameterError('plan.argument-out-of-range', `${name} is ${value}; it must be ${admitted}.`);
}

/** @throws ParameterError `plan.argument-out-of-range` */
export function requirePositive(name: string, value: number): void {
  if (!(value > 0) || !Number.isFinite(value)) refuse(name, value, 'positive and finite');
}

/** @throws ParameterError `plan.argument-out-of-range` */
export function requireCount(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) refuse(name, value, 'an integer of at least 1');
}

/** A ratio in (0, 1]. @throws ParameterError `plan.argument-out-of-range` */
export function requireRatio(name: string, value: number): void {
  if (!(value > 0 && value <= 1)) refuse(name, value, 'above 0 and at most 1');
}

/** @throws ParameterError `plan.argument-out-of-range` */
export function requireEnergy(name: string, value: number): void {
  if (!(value >= 0) || !Number.isFinite(value)) refuse(name, value, 'zero or positive, and finite');
}

/** A width of 2 to 8 bits. @throws ParameterError `plan.argument-out-of-range` */
export function requireBits(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 2 || value > 8) refuse(name, value, 'an integer from 2 to 8');
}
