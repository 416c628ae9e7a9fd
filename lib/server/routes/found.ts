/** Things that may not be there. */
import { RefusedError } from '../../errors.js';

/** @throws RefusedError `request.not-found` */
export function requireFound<T>(value: T | undefined, what: string): T {
  if (value !== undefined) return value;
  throw new RefusedError('request.not-found', `There is no such ${what} here.`);
}
