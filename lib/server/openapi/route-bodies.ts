/**
 * Bodies that are files or streams, for the description of the API. A route's schemas say nothing of them: they are read and
 * written as bytes, and never held against a schema.
 */
import type { FastifyContextConfig } from 'fastify';

export interface RouteBodies {
  /** What file the request's body is. */
  readonly takes?: string;
  /** What file the answer is: it may be asked for in ranges, and only if it is another one than before. */
  readonly gives?: string;
  /** What text the answer is. */
  readonly text?: string;
  /** What the answer goes on telling. */
  readonly streams?: string;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    readonly bodies?: RouteBodies;
  }
}

export function fileBodies(bodies: RouteBodies): FastifyContextConfig {
  return { bodies };
}

const OCTETS = 'application/octet-stream';
const EVENTS = 'text/event-stream';
const TEXT = 'text/plain';
/** Any bytes, as OpenAPI 3.1 writes them. */
const BINARY = { type: 'string', contentMediaType: OCTETS } as const;

const header = (description: string) => ({ type: 'string', description });
const FILE_HEADERS = {
  etag: header('The fingerprint of the file, in quotation marks'),
  'accept-ranges': header('bytes'),
};
const RANGE_HEADERS = {
  type: 'object',
  properties: {
    range: header('One range, `bytes=FROM-TO` or `bytes=FROM-`: to go on after a cut (RFC 9110 section 14)'),
    'if-none-match': header('An ETag from before: the same file is 304, without a body'),
  },
} as const;
const RESUME_HEADERS = {
  type: 'object',
  properties: {
    'last-event-id': header(
      'The id of the last event that was heard: what changed since is told first, the last 256 of it. Without it the stream begins with the present',
    ),
  },
} as const;

/** The parts of a schema, as the description of the API wants them, that a route's bodies come to. */
export function describedBodies({ takes, gives, text, streams }: RouteBodies): {
  readonly request: Readonly<Record<string, unknown>>;
  readonly response: Readonly<Record<string, unknown>>;
} {
  return {
    request: {
      ...(takes !== undefined && { consumes: [OCTETS], body: { ...BINARY, description: takes } }),
      ...(gives !== undefined && { headers: RANGE_HEADERS }),
      ...(streams !== undefined && { headers: RESUME_HEADERS }),
    },
    response: {
      ...(gives !== undefined && {
        200: { description: gives, headers: FILE_HEADERS, content: { [OCTETS]: { schema: BINARY } } },
        206: {
          description: 'The range that was asked for',
          headers: {
            ...FILE_HEADERS,
            'content-range': header('`bytes FROM-TO/SIZE`'),
          },
          content: { [OCTETS]: { schema: BINARY } },
        },
        304: { description: 'The file is the one that If-None-Match names', headers: FILE_HEADERS },
        416: {
          description: 'There are no such bytes',
          headers: { 'content-range': header('`bytes */SIZE`') },
        },
      }),
      ...(text !== undefined && {
        200: { description: text, content: { [TEXT]: { schema: { type: 'string' } } } },
      }),
      ...(streams !== undefined && {
        200: { description: streams, content: { [EVENTS]: { schema: { type: 'string' } } } },
      }),
    },
  };
}
