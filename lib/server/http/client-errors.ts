/** What cannot be read as a request at all, answered on the bare socket. */
import type { Socket } from 'node:net';
import { PROBLEM_MEDIA_TYPE, type ProblemContent, problemOf } from '../problems/problem.js';

const CONTENT_OF_CODE: Readonly<Record<string, ProblemContent>> = {
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    code: 'request.timeout',
    detail: 'The request took too long to arrive.',
  },
  HPE_HEADER_OVERFLOW: {
    status: 431,
    code: 'request.headers-too-large',
    detail: 'The headers are too large.',
  },
};

const MALFORMED: ProblemContent = { status: 400, code: 'request.malformed', detail: 'This is not HTTP/1.1.' };

export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  if (socket.writable) {
    const problem = problemOf(CONTENT_OF_CODE[error.code ?? ''] ?? MALFORMED);
    const body = JSON.stringify(problem);
    socket.write(
      `HTTP/1.1 ${problem.status} ${problem.title}\r\nContent-Type: ${PROBLEM_MEDIA_TYPE}\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n${body}`,
    );
  }
  socket.destroySoon();
}
