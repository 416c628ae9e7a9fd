/** Rates: of an address before anybody is authenticated, of a caller afterwards, and of single routes. */
import rateLimit, { normalizeIP } from '@fastify/rate-limit';
import type { FastifyRequest } from 'fastify';
import { RetryLaterError } from '../problems/retry-later.js';
import type { App } from './app-type.js';
import type { ServerLimits } from './limits.js';

const MINUTE_MS = 60_000;

export interface RateLimiter {
  /** @throws RetryLaterError `request.rate-limited` */
  count(request: FastifyRequest): Promise<void>;
}

export interface RateLimits {
  readonly perAddress: RateLimiter;
  readonly perActor: RateLimiter;
  /** A counter of its own for each route that asks for one. */
  ofRoute(route: string, requestsPerMinute: number): RateLimiter;
  /** One for all callers of the route. */
  ofRouteForAll(route: string, requestsPerMinute: number): RateLimiter;
}

function addressOf(request: FastifyRequest): string {
  return normalizeIP(request.ip);
}

function callerOf(request: FastifyRequest): string {
  const { actor } = request;
  return actor === undefined ? addressOf(request) : `${actor.kind} ${actor.role} ${actor.id}`;
}

export async function createRateLimits(app: App, limits: ServerLimits): Promise<RateLimits> {
  await app.register(rateLimit, { global: false, cache: limits.maxTrackedCallers });
  const limiter = (max: number, keyGenerator: (request: FastifyRequest) => string): RateLimiter => {
    const count = app.createRateLimit({ max, timeWindow: MINUTE_MS, keyGenerator });
    return {
      async count(request) {
        const result = await count(request);
        if (result.isAllowed || !result.isExceeded) return;
        throw new RetryLaterError('request.rate-limited', 'Too many requests. Slow down.', result.ttl);
      },
    };
  };
  const ofRoutes = new Map<string, RateLimiter>();
  const known = (name: string, make: () => RateLimiter): RateLimiter => {
    const found = ofRoutes.get(name) ?? make();
    ofRoutes.set(name, found);
    return found;
  };
  return {
    perAddress: limiter(limits.requestsPerMinutePerAddress, addressOf),
    perActor: limiter(limits.requestsPerMinutePerActor, callerOf),
    ofRoute: (route, requestsPerMinute) => known(route, () => limiter(requestsPerMinute, callerOf)),
    ofRouteForAll: (route, requestsPerMinute) =>
      known(`all ${route}`, () => limiter(requestsPerMinute, () => 'all')),
  };
}
