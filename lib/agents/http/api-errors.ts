/** What went wrong between this machine and the service, as errors that a daemon can act on. */
import { z } from 'zod';
import { EnvironmentError, RefusedError } from '../../errors.js';

/** The service refused the request: to send it again changes nothing. `code` is the service's own. */
export class ApiRefusedError extends RefusedError {
  constructor(
    code: string,
    message: string,
    readonly status: number,
  ) {
    super(code, message);
  }
}

/** The service could not do it, and every attempt was used up. `code` is the service's own where it gave one. */
export class ApiUnavailableError extends EnvironmentError {
  constructor(
    code: string,
    message: string,
    readonly status: number,
  ) {
    super(code, message);
  }
}

export type ApiError = ApiRefusedError | ApiUnavailableError;

/** More than the service sends, and little enough for a log. */
const MAX_DETAIL_CHARACTERS = 500;
const CODE = /^[a-z][a-z0-9-]{0,31}(?:\.[a-z0-9-]{1,48}){1,2}$/;

const problemSchema = z.object({ code: z.string().regex(CODE), detail: z.string() });

/** Too many requests and too early a one are refusals that time lifts, like every failure of the server's own. */
export function isTemporary(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

/**
 * @param body of the answer, as text; a proxy's page is no problem document, and its text is left out
 * @param advice what this machine noticed itself
 */
export function apiError(status: number, body: string, what: string, advice: string | undefined): ApiError {
  const problem = problemSchema.safeParse(parseJson(body));
  const code = problem.success
    ? problem.data.code
    : isTemporary(status)
      ? 'http.unavailable'
      : 'http.refused';
  const detail = problem.success ? oneLine(problem.data.detail) : 'The answer says no more.';
  const message = `${what} was answered with status ${status}. ${detail}${advice === undefined ? '' : ` ${advice}`}`;
  return isTemporary(status)
    ? new ApiUnavailableError(code, message, status)
    : new ApiRefusedError(code, message, status);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The service's words end up in logs and terminals: control characters could forge lines there. */
function oneLine(text: string): string {
  return text.replace(/[\s\p{C}]+/gu, ' ').slice(0, MAX_DETAIL_CHARACTERS);
}
