/** What tests of refusals share. */
import { expect } from 'chai';
import { TensorGuardError } from '../../lib/errors.js';

/** Runs something that must be refused, and returns the error that it was refused with. */
export async function refusalOf(run: () => unknown): Promise<TensorGuardError> {
  try {
    await run();
  } catch (error) {
    if (error instanceof TensorGuardError) return error;
    throw error;
  }
  throw new Error('Nothing was refused.');
}

/** Checks that something is refused with `code`, and with every one of `parts` in the message. */
export async function expectRefusal(
  run: () => unknown,
  code: string,
  ...parts: readonly string[]
): Promise<void> {
  const error = await refusalOf(run);
  expect(error.code, error.message).to.equal(code);
  for (const part of parts) expect(error.message).to.include(part);
}
