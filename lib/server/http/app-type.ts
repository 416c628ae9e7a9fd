/** The fastify instance that routes are registered on, with schemas in zod. */
import type {
  FastifyBaseLogger,
  FastifyInstance,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Actor } from '../auth/actor.js';

export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>;

declare module 'fastify' {
  interface FastifyInstance {
    /** Aborted when the server begins to close: event streams and long polls end then. */
    closing: AbortSignal;
  }
  interface FastifyRequest {
    /** Who is authenticated; undefined on routes for anybody. */
    actor: Actor | undefined;
    /** SHA-256 that the body must have, 32 bytes. For the body's checks only. */
    signedBodyDigest: Uint8Array | undefined;
  }
}
