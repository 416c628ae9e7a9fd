/** Checks of a request's head, before anybody is authenticated or a byte of the body is read. */
import type { IncomingHttpHeaders } from 'node:http';
import { RefusedError } from '../../errors.js';

/** RFC 3986's path and query. Absolute form, fragments, spaces, quotes and bytes over 127 have no business here. */
const TARGET = /^\/[A-Za-z0-9\-._~!$&'()*+,;=:@/%]*(?:\?[A-Za-z0-9\-._~!$&'()*+,;=:@/?%]*)?$/;

export interface RequestHead {
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
}

/** `.` and `..` as segments, escaped or not: only who resolves them gives them a meaning, and each does it differently. */
const DOT_SEGMENT = /^[^?]*\/(?:\.|%2e){1,2}(?:[/?]|$)/i;

/** @throws RefusedError `request.bad-target` */
export function requireTarget(target: string): void {
  if (!TARGET.test(target) || DOT_SEGMENT.test(target))
    throw new RefusedError('request.bad-target', 'The path is not well formed.');
}

/**
 * Everything with a body says its length first, so that too large a one is refused unread.
 *
 * @throws RefusedError `request.length-required`, `request.bad-encoding`, `request.too-large`
 */
export function requireBodyShape({ headers }: RequestHead, maxBodyBytes: number): void {
  if (headers['transfer-encoding'] !== undefined) {
    throw new RefusedError(
      'request.length-required',
      'Send the body with its Content-Length, not in chunks.',
    );
  }
  if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
    throw new RefusedError('request.bad-encoding', 'Send the body without Content-Encoding.');
  }
  if (bodyLengthOf(headers) > maxBodyBytes) {
    throw new RefusedError('request.too-large', `This route takes bodies of up to ${maxBodyBytes} bytes.`);
  }
}

/** Node has refused what is no number. */
export function bodyLengthOf(headers: IncomingHttpHeaders): number {
  return Number(headers['content-length'] ?? 0);
}
