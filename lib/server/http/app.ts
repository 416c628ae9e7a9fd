/** The HTTP server without its routes: everything that holds for all of them. Tests and the service build the same one. */
import { randomUUID } from 'node:crypto';
import type { ServerOptions } from 'node:http';
import type { Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import { type FastifyServerOptions, fastify, LogController } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import type { AccessTable } from '../auth/access.js';
import { Authenticator } from '../auth/credentials.js';
import { type SignatureOptions, SignatureVerifier } from '../auth/http-signatures.js';
import type { KeyDirectory } from '../auth/key-directory.js';
import type { BearerTokens } from '../auth/tokens.js';
import { DOCUMENTATION_ACCESS, installDocumentation } from '../openapi/documentation.js';
import { notFound, replyWithProblem } from '../problems/replies.js';
import type { App } from './app-type.js';
import { requireAuthority } from './authority.js';
import { answerClientError } from './client-errors.js';
import { installConnectionEnds } from './connections.js';
import { installGatekeeper } from './gatekeeper.js';
import { DEFAULT_LIMITS, type ServerLimits } from './limits.js';
import { createLogger, type LogOptions, logRequest } from './logging.js';
import { createRateLimits } from './rate-limits.js';
import { installSecurityHeaders } from './security-headers.js';
import { readTls, type TlsFiles } from './tls.js';
import { installUnreadBodies } from './unread-bodies.js';

export interface AppOptions {
  /** Every route that will be registered, and who may use it. */
  readonly access: AccessTable;
  readonly directory: KeyDirectory;
  readonly tokens: BearerTokens;
  /** Host, or host:port, that clients address; what `Host` says where it is absent. Set it behind a proxy. */
  readonly publicAuthority?: string | undefined;
  readonly signatures?: SignatureOptions;
  readonly limits?: Partial<ServerLimits>;
  readonly tls?: TlsFiles | undefined;
  /** Which proxies' `X-Forwarded-For` counts: addresses or networks. None where it is absent. */
  readonly trustProxy?: string[] | undefined;
  readonly log?: LogOptions;
  /** Of the package, for the description of the API. */
  readonly version: string;
}

/**
 * Register routes on it, then `listen`; `shutDown` ends it.
 *
 * @throws EnvironmentError `server.tls-unreadable`; ParameterError `server.bad-authority`
 */
export async function createApp(options: AppOptions): Promise<App> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const access = { ...DOCUMENTATION_ACCESS, ...options.access };
  const { publicAuthority } = options;
  const tls = options.tls === undefined ? undefined : await readTls(options.tls);
  const app = createInstance(options, limits, tls);
  app.server.maxConnections = limits.maxConnections;
  decorateClosing(app);
  installConnectionEnds(app, tls !== undefined);
  app.setErrorHandler(replyWithProblem);
  app.setNotFoundHandler(() => {
    throw notFound();
  });
  // Bodies of files: a stream that the route reads, never a buffer.
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload));
  app.removeContentTypeParser('text/plain');
  app.addHook('onResponse', logRequest);
  installUnreadBodies(app);
  installSecurityHeaders(app, tls !== undefined);
  installGatekeeper(app, {
    access,
    authenticator: new Authenticator(
      new SignatureVerifier(options.directory, options.signatures),
      options.tokens,
    ),
    rates: await createRateLimits(app, limits),
    publicAuthority: publicAuthority === undefined ? undefined : requireAuthority(publicAuthority),
  });
  await installDocumentation(app, access, options.version);
  return app;
}

function createInstance(
  options: AppOptions,
  limits: ServerLimits,
  tls: SecureContextOptions | undefined,
): App {
  const nodeOptions: ServerOptions = {
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: Math.min(limits.headersTimeoutMs, limits.requestTimeoutMs),
    connectionsCheckingInterval: limits.timeoutCheckIntervalMs,
  };
  const serverOptions: FastifyServerOptions & { http: ServerOptions; https: object | null } = {
    http: nodeOptions,
    https: tls === undefined ? null : { ...nodeOptions, ...tls, handshakeTimeout: limits.headersTimeoutMs },
    loggerInstance: createLogger(options.log),
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    // Ours, never the caller's: an id that a caller chooses could name another's request in the log.
    requestIdHeader: false,
    bodyLimit: limits.maxBodyBytes,
    connectionTimeout: limits.idleTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    maxRequestsPerSocket: limits.maxRequestsPerConnection,
    forceCloseConnections: 'idle',
    // The gatekeeper answers 503, as a problem.
    return503OnClosing: false,
    trustProxy: options.trustProxy ?? false,
    frameworkErrors: (error, request, reply) => {
      replyWithProblem(error, request, reply);
    },
    clientErrorHandler: (error, socket) => answerClientError(error, socket as Socket),
  };
  const app = fastify(serverOptions as FastifyServerOptions) as unknown as App;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  return app;
}

function decorateClosing(app: App): void {
  const controller = new AbortController();
  app.decorate('closing', controller.signal);
  app.addHook('preClose', async () => controller.abort());
}
