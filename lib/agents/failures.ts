/** Which failures are the connection's: they say nothing of what was tried, and are over when the network is back. */
import { TensorGuardError } from '../errors.js';
import { ApiUnavailableError } from './http/api-errors.js';

const CONNECTION_CODES: readonly string[] = ['http.unreachable', 'http.timeout', 'http.aborted'];

export function isConnectionFailure(error: unknown): boolean {
  if (error instanceof ApiUnavailableError) return true;
  return error instanceof TensorGuardError && CONNECTION_CODES.includes(error.code);
}
