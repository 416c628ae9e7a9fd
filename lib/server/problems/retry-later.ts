import { RefusedError } from '../../errors.js';

/** Refused for now: a limit was reached that time lifts. */
export class RetryLaterError extends RefusedError {
  constructor(
    code: string,
    message: string,
    readonly retryAfterMs: number,
  ) {
    super(code, message);
  }
}
