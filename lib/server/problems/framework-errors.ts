/** What fastify and its plugins throw, in our words. */
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { TensorGuardError } from '../../errors.js';
import type { ProblemContent } from './problem.js';

const CONTENT_OF_CODE: Readonly<Record<string, ProblemContent>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: {
    status: 413,
    code: 'request.too-large',
    detail: 'The body is larger than this route takes.',
  },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    status: 415,
    code: 'request.bad-media-type',
    detail: 'This route does not take that Content-Type.',
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    status: 400,
    code: 'request.bad-length',
    detail: 'The body does not have the length that Content-Length says.',
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: { status: 400, code: 'request.malformed', detail: 'The body is empty.' },
  FST_ERR_CTP_INVALID_JSON_BODY: { status: 400, code: 'request.malformed', detail: 'The body is not JSON.' },
  FST_ERR_BAD_URL: { status: 400, code: 'request.bad-target', detail: 'The path is not well formed.' },
  FST_ERR_MAX_PARAM_LENGTH: {
    status: 400,
    code: 'request.bad-target',
    detail: 'A part of the path is too long.',
  },
};

/** A name from a schema, or from the caller: only what cannot be anything but a name goes back. */
const FIELD_NAME = /^[A-Za-z0-9_.-]{1,64}$/;

/** undefined where it is none of them. */
export function frameworkProblem(error: unknown): ProblemContent | undefined {
  if (hasZodFastifySchemaValidationErrors(error)) {
    const context = error.validationContext ?? 'request';
    const names = error.validation.map(({ instancePath }) => fieldName(context, instancePath));
    const fields = [...new Set(names)].slice(0, 16);
    const detail = `Not valid: ${fields.join(', ')}. See the description of the API at /docs.`;
    return { status: 400, code: 'request.invalid', detail, fields };
  }
  // JSON.parse's own error, which quotes the body.
  if (error instanceof SyntaxError && 'statusCode' in error && error.statusCode === 400) {
    return CONTENT_OF_CODE['FST_ERR_CTP_INVALID_JSON_BODY'];
  }
  if (!(error instanceof Error) || error instanceof TensorGuardError) return undefined;
  const code = 'code' in error ? error.code : undefined;
  if (typeof code === 'string' && Object.hasOwn(CONTENT_OF_CODE, code)) return CONTENT_OF_CODE[code];
  return 'statusCode' in error ? ofStatus(error.statusCode) : undefined;
}

/** Plugins' refusals that have no line of their own above: the status says whose fault it was. */
function ofStatus(status: unknown): ProblemContent | undefined {
  if (status === 403 || status === 404) {
    return { status: 404, code: 'request.not-found', detail: 'There is nothing here.' };
  }
  const ofCaller = typeof status === 'number' && status >= 400 && status < 500;
  return ofCaller
    ? { status: 400, code: 'request.malformed', detail: 'The request is not valid.' }
    : undefined;
}

function fieldName(context: string, instancePath: string): string {
  const path = instancePath.split('/').filter((part) => part !== '');
  return [context, ...path.map((part) => (FIELD_NAME.test(part) ? part : '?'))].join('.');
}
