/** Sending problems: fastify's error and not-found handlers. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { RefusedError } from '../../errors.js';
import { REQUEST_COMPONENTS, SIGNATURE_ALGORITHM, SIGNATURE_TAG } from '../auth/signature-profile.js';
import { disclose } from './disclosure.js';
import { frameworkProblem } from './framework-errors.js';
import { PROBLEM_MEDIA_TYPE, problemOf } from './problem.js';
import { RetryLaterError } from './retry-later.js';

/** RFC 9421 section 5.1: the signature that a machine should make. */
const ACCEPT_SIGNATURE =
  `tensorguard=(${REQUEST_COMPONENTS.map((component) => `"${component}"`).join(' ')})` +
  `;created;expires;nonce;keyid;alg="${SIGNATURE_ALGORITHM}";tag="${SIGNATURE_TAG}"`;

/** A server that closes or is overloaded has not failed, and its log should not fill up with saying so. */
const EXPECTED = new Set(['server.closing', 'server.overloaded']);

export function replyWithProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const content = frameworkProblem(error) ?? disclose(error);
  if (content.status >= 500 && !EXPECTED.has(content.code)) {
    request.log.error({ err: error }, 'request failed');
  } else {
    request.log.info({ code: content.code, err: error }, 'request refused');
  }
  if (content.status === 401) {
    reply.header('www-authenticate', 'Bearer realm="tensorguard"');
    reply.header('accept-signature', ACCEPT_SIGNATURE);
  }
  if (error instanceof RetryLaterError) {
    reply.header('retry-after', String(Math.ceil(error.retryAfterMs / 1000)));
  }
  return reply
    .code(content.status)
    .type(PROBLEM_MEDIA_TYPE)
    .send(JSON.stringify(problemOf(content, request.id)));
}

export function notFound(what = 'There is nothing here.'): RefusedError {
  return new RefusedError('request.not-found', what);
}
