/** Expecting an error by its code: the message is for people, the code is the contract. */
import { expect } from 'chai';
import { TensorGuardError } from '../../lib/errors.js';

/** The error that `action` fails with, which must carry `code`. */
export async function expectRefusal(code: string, action: () => unknown): Promise<TensorGuardError> {
  let result: unknown;
  try {
    result = await action();
  } catch (error) {
    if (!(error instanceof TensorGuardError)) throw error;
    expect(error.code, error.message).to.equal(code);
    return error;
  }
  throw new Error(`expected ${code}; nothing was refused, and the result was ${String(result)}`);
}

/** The code that `action` fails with, or its result. */
export async function outcomeOf<T>(action: () => Promise<T>): Promise<T | { code: string }> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof TensorGuardError)) throw error;
    return { code: error.code };
  }
}
