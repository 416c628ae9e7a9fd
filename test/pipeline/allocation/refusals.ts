import { TensorGuardError } from '../../../lib/errors.js';

/** The error that `run` ends with, which must be one of the package's. */
export function refusal(run: () => unknown): TensorGuardError {
  try {
    run();
  } catch (error) {
    if (error instanceof TensorGuardError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
