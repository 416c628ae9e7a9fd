/** Bodies of requests, as routes take them. */

import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { FormatError } from '../../errors.js';
import type { BlobStore } from '../../store/store.js';
import { readStored, type StoredFile, sizeOf } from './stored-file.js';

/** A body that was sent as a stream of bytes. @throws FormatError `request.bad-media-type` */
export function streamOf(request: FastifyRequest): AsyncIterable<Uint8Array> {
  const { body } = request;
  // Whoever stops reading must not destroy the request: its answer is still to be sent, on its connection.
  if (body instanceof Readable) {
    return { [Symbol.asyncIterator]: () => body.iterator({ destroyOnReturn: false }) };
  }
  throw new FormatError('request.bad-media-type', 'Send the file as application/octet-stream.');
}

/** What the sender said that the body has. The gatekeeper has refused a request without it. */
export function declaredBytes(request: FastifyRequest): number {
  return Number(request.headers['content-length'] ?? 0);
}

/** A whole stream in memory. @throws FormatError `request.too-large` */
export async function readAll(stream: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of stream) {
    length += part.length;
    if (length > maxBytes) {
      throw new FormatError('request.too-large', `At most ${maxBytes} bytes are taken here.`);
    }
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts, length));
}

const RANGE = /^bytes=(\d{1,15})-(\d{0,15})$/;

/** Sends a stored file, or the one range of it that is asked for (RFC 9110 section 14); it is never in memory as a whole. */
export function sendStored(
  request: FastifyRequest,
  reply: FastifyReply,
  blobs: BlobStore,
  { file, fingerprint }: { readonly file: StoredFile; readonly fingerprint: string },
): FastifyReply {
  const size = sizeOf(file);
  const range = RANGE.exec(request.headers.range ?? '');
  const start = range === null ? 0 : Number(range[1]);
  const end = range === null || range[2] === '' ? size : Math.min(Number(range[2]) + 1, size);
  const etag = `"${fingerprint}"`;
  reply.header('accept-ranges', 'bytes').header('etag', etag).type('application/octet-stream');
  if (request.headers['if-none-match'] === etag) return reply.code(304).send();
  if (range !== null && (start >= size || start >= end)) {
    return reply.code(416).header('content-range', `bytes */${size}`).send();
  }
  if (range !== null) reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${size}`);
  reply.header('content-length', end - start);
  if (request.method === 'HEAD') return reply.send();
  return reply.send(Readable.from(readStored(blobs, file, start, end)));
}
