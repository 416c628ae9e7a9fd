/** The one table from our errors to statuses. */
import {
  EnvironmentError,
  FormatError,
  ParameterError,
  RefusedError,
  type TensorGuardError,
  VerificationError,
} from '../../errors.js';

/** Where the class alone does not tell. Sorted by status. */
const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  'auth.bad-digest': 400,
  'auth.digest-mismatch': 400,
  'auth.two-credentials': 400,
  'request.bad-length': 400,
  'request.bad-target': 400,
  'request.invalid': 400,
  'request.malformed': 400,
  'auth.forbidden': 403,
  'auth.not-yours': 403,
  'release.not-offered': 403,
  'roster.client-revoked': 403,
  'roster.client-suspended': 403,
  'roster.not-this-key': 403,
  'roster.unknown-aggregator': 403,
  'roster.unknown-client': 403,
  'roster.unknown-custodian': 403,
  'request.not-found': 404,
  'rollout.unknown': 404,
  'round.unknown': 404,
  'token.unknown': 404,
  'request.timeout': 408,
  'request.gone': 410,
  'request.length-required': 411,
  'container.too-large': 413,
  'request.too-large': 413,
  'request.bad-encoding': 415,
  'request.bad-media-type': 415,
  'auth.too-many-requests': 429,
  'enrolment.too-many': 429,
  'request.rate-limited': 429,
  'request.too-many-streams': 429,
  'request.headers-too-large': 431,
  'server.closing': 503,
  'server.overloaded': 503,
  'storage.busy': 503,
  'storage.full': 503,
};

/**
 * Areas of codes that speak of the server's own state. Whatever their class, the caller did nothing wrong, can do nothing
 * about it, and is told nothing.
 */
const OWN_AREAS = new Set([
  'audit',
  'break-glass',
  'internal',
  'key',
  'keystore',
  'ledger',
  'native',
  'releases',
  'roster-pin',
  'server',
  'storage',
  'store',
  'usage',
  'wrapper',
]);
const OWN_CODES = new Set([
  'rollout.bad-history',
  'rollout.bad-record',
  'rollout.bad-state',
  'roster.pin-corrupt',
]);

function statusOfClass(error: TensorGuardError): number {
  if (error instanceof FormatError) return 400;
  if (error instanceof VerificationError || error instanceof ParameterError) return 422;
  if (error instanceof RefusedError) return 409;
  if (error instanceof EnvironmentError) return 500;
  return 500;
}

export function statusOf(error: TensorGuardError): number {
  const listed = Object.hasOwn(STATUS_OF_CODE, error.code) ? STATUS_OF_CODE[error.code] : undefined;
  if (listed !== undefined) return listed;
  const area = error.code.split('.', 1)[0] ?? '';
  if (OWN_AREAS.has(area) || OWN_CODES.has(error.code)) return 500;
  // Every other auth code says that nobody was authenticated.
  return area === 'auth' ? 401 : statusOfClass(error);
}
