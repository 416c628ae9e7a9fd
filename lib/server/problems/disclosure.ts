/**
 * What a caller is told of an error. Messages of this package are written for whoever runs the command line: they may name files
 * of the machine. A message goes out as it is only where nothing in it looks like that.
 */
import { EnvironmentError, TensorGuardError } from '../../errors.js';
import type { ProblemContent } from './problem.js';
import { statusOf } from './status-table.js';

const MAX_DETAIL_CHARACTERS = 1000;

/** An absolute or dotted path (but for the API's own), a drive, a share, a file URL, a stack frame, a control character. */
const PRIVATE =
  /(?:^|[\s"'`(=:,[])(?:\.{0,2}\/(?!v1\/|docs\b|openapi\.json)[^\s]|[A-Za-z]:[\\/]|~\/|\\\\)|file:|\bat .+:\d+:\d+|\p{Cc}/u;

export function isPublicText(text: string): boolean {
  return text.length <= MAX_DETAIL_CHARACTERS && !PRIVATE.test(text);
}

const UNAVAILABLE: ProblemContent = {
  status: 503,
  code: 'server.unavailable',
  detail: 'The server cannot do this now. Try again later.',
};

const INTERNAL: ProblemContent = {
  status: 500,
  code: 'server.internal',
  detail: 'The server failed. Its log has the reason, under the id of this request.',
};

/** Codes whose 503 the caller may know of. */
const PUBLIC_UNAVAILABLE = new Set(['server.closing', 'server.overloaded']);

export function disclose(error: unknown): ProblemContent {
  if (!(error instanceof TensorGuardError)) return INTERNAL;
  const { code, message } = error;
  const status = statusOf(error);
  if (status === 503 && !PUBLIC_UNAVAILABLE.has(code)) return UNAVAILABLE;
  if (status >= 500 && status !== 503) return INTERNAL;
  if (error instanceof EnvironmentError && status < 500) return INTERNAL;
  const detail = isPublicText(message) ? message : 'Refused. The log of the server has the whole reason.';
  return { status, code, detail };
}
