/**
 * The log: one line a request. It has no header, no body, no query and no raw path by construction: the serializers name what is
 * written, and the rest has no way in. Redaction comes on top, for whoever logs an object with headers in it.
 */
import type { FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify';
import { type DestinationStream, type LoggerOptions, pino } from 'pino';
import { REDACTED, redacted, SECRET_NAMES } from '../../observability/redaction.js';

export interface LogOptions {
  readonly level?: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
  /** Standard output where it is absent. */
  readonly destination?: DestinationStream;
}

/** Pino's wildcards stand for one level each. */
function redactedPaths(): string[] {
  return SECRET_NAMES.flatMap((name) => {
    const last = name.includes('-') ? `["${name}"]` : `.${name}`;
    return [last.replace(/^\./, ''), `*${last}`, `*.*${last}`];
  });
}

interface SerializedError {
  readonly type: string;
  readonly code: string | undefined;
  readonly message: string;
  readonly stack: string | undefined;
  readonly cause: SerializedError | undefined;
}

/** Named properties only: an error may drag its request, headers and all, along. */
function serializeError(error: unknown, depth = 0): SerializedError | undefined {
  if (!(error instanceof Error) || depth > 4) return undefined;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return {
    type: error.name,
    code,
    message: redacted(error.message),
    // For our own mistakes; of a refusal the code says it all.
    stack: code === undefined ? redacted(error.stack ?? '') : undefined,
    cause: serializeError(error.cause, depth + 1),
  };
}

function serializeRequest(request: unknown): object {
  const { method, routeOptions } = request as Partial<FastifyRequest>;
  return { method, route: routeOptions?.url };
}

function serializeReply(reply: unknown): object {
  return { status: (reply as Partial<FastifyReply>).statusCode };
}

export function createLogger(options: LogOptions = {}): NonNullable<FastifyServerOptions['loggerInstance']> {
  const loggerOptions: LoggerOptions = {
    level: options.level ?? 'info',
    base: null,
    redact: { paths: redactedPaths(), censor: REDACTED },
    serializers: { req: serializeRequest, res: serializeReply, err: (error) => serializeError(error) },
  };
  return options.destination === undefined ? pino(loggerOptions) : pino(loggerOptions, options.destination);
}

/** The line that a request leaves. */
export async function logRequest(request: FastifyRequest, reply: FastifyReply): Promise<void> {
  request.log.info(
    {
      method: request.method,
      route: request.routeOptions.url ?? 'none',
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime * 10) / 10,
      ...(request.actor !== undefined && { actor: { role: request.actor.role, id: request.actor.id } }),
    },
    'request',
  );
}
