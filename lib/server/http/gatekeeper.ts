/** The hooks that stand before every route: shape, rate, identity, role, body. Deny by default. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { RefusedError } from '../../errors.js';
import {
  type AccessTable,
  accessOf,
  bodyIntegrityOf,
  type RouteAccess,
  requireRole,
} from '../auth/access.js';
import { DigestCheck, requireContentDigest } from '../auth/content-digest.js';
import type { Authenticator } from '../auth/credentials.js';
import type { App } from './app-type.js';
import { normalizeAuthority } from './authority.js';
import type { RateLimiter, RateLimits } from './rate-limits.js';
import { bodyLengthOf, requireBodyShape, requireTarget } from './request-shape.js';

export interface GatekeeperOptions {
  readonly access: AccessTable;
  readonly authenticator: Authenticator;
  readonly rates: RateLimits;
  /** What clients address, where a proxy changes `Host`. */
  readonly publicAuthority: string | undefined;
}

/** @throws ParameterError `server.access-undeclared` when a route is registered that the table does not list */
export function installGatekeeper(app: App, options: GatekeeperOptions): void {
  const { access, authenticator, rates, publicAuthority } = options;
  app.decorateRequest('actor', undefined);
  app.decorateRequest('signedBodyDigest', undefined);

  app.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat()) accessOf(access, each, url);
  });

  app.addHook('onRequest', async (request) => {
    if (app.closing.aborted) throw closing();
    requireTarget(request.raw.url ?? '');
    await rates.perAddress.count(request);
    const route = request.routeOptions.url;
    if (request.is404 || route === undefined) return;
    const head = { method: request.method, target: request.raw.url ?? '', headers: request.headers };
    requireBodyShape(head, request.routeOptions.bodyLimit);
    const entry = accessOf(access, request.method, route);
    if (entry.allow !== 'anybody') {
      const authority = publicAuthority ?? normalizeAuthority(request.headers.host ?? '', request.protocol);
      const integrity = bodyIntegrityOf(entry, request.method);
      const identified = await authenticator.identify({ ...head, authority }, integrity);
      request.actor = identified.actor;
      request.signedBodyDigest = identified.bodyDigest;
      await rates.perActor.count(request);
      requireRole(identified.actor, entry);
    }
    for (const rate of routeRates(rates, request.method, route, entry)) await rate.count(request);
  });

  app.addHook('preParsing', async (request, _reply: FastifyReply, payload) => {
    const expected = request.signedBodyDigest;
    if (expected === undefined) return payload;
    // Without a body nobody reads the stream, and nobody would check.
    if (bodyLengthOf(request.headers) === 0) {
      requireContentDigest(new Uint8Array(), expected);
      return payload;
    }
    const check = new DigestCheck(expected);
    payload.on('error', (error: Error) => check.destroy(error));
    return payload.pipe(check);
  });
}

/** The caller's own first: what is refused for that counts for nobody else. */
function routeRates(
  rates: RateLimits,
  method: string,
  route: string,
  { requestsPerMinute, requestsPerMinuteOfAll }: RouteAccess,
): RateLimiter[] {
  const name = `${method} ${route}`;
  return [
    ...(requestsPerMinute === undefined ? [] : [rates.ofRoute(name, requestsPerMinute)]),
    ...(requestsPerMinuteOfAll === undefined ? [] : [rates.ofRouteForAll(name, requestsPerMinuteOfAll)]),
  ];
}

function closing(): RefusedError {
  return new RefusedError('server.closing', 'The server is shutting down. Try again in a moment.');
}

/** The caller of a route that is not for anybody. */
export function actorOf(request: FastifyRequest): NonNullable<FastifyRequest['actor']> {
  if (request.actor === undefined)
    throw new RefusedError('auth.required', 'This needs an authenticated caller.');
  return request.actor;
}
