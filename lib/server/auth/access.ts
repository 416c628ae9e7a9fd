/** Who may do what: one table of route and role. What it does not list, nobody may. */
import { ParameterError, RefusedError } from '../../errors.js';
import type { Actor, Role } from './actor.js';
import type { BodyIntegrity } from './signature-profile.js';

export const METHODS = ['GET', 'PUT', 'POST', 'DELETE'] as const;
export type Method = (typeof METHODS)[number];

export interface RouteAccess {
  /** `anybody`: no credentials are asked for, and none are looked at. */
  readonly allow: readonly Role[] | 'anybody';
  /** Absent: `content-digest` for what changes something, `none` for what reads. */
  readonly body?: BodyIntegrity;
  /** A limit of the route's own, for each caller (address where nobody is authenticated). */
  readonly requestsPerMinute?: number;
  /** Of all callers together: what costs storage, and that anybody may do from many addresses. */
  readonly requestsPerMinuteOfAll?: number;
}

/** From `METHOD /path/:as/fastify/writes/it`. HEAD is as GET. */
export type AccessTable = Readonly<Record<`${Method} ${string}`, RouteAccess>>;

function keyOf(method: string, route: string): string {
  return `${method === 'HEAD' ? 'GET' : method} ${route}`;
}

/** @throws ParameterError `server.access-undeclared` */
export function accessOf(table: AccessTable, method: string, route: string): RouteAccess {
  const key = keyOf(method, route);
  const access = Object.hasOwn(table, key) ? table[key as keyof AccessTable] : undefined;
  if (access === undefined) {
    throw new ParameterError(
      'server.access-undeclared',
      `The route "${key}" is not in the access table. Say there who may use it.`,
    );
  }
  return access;
}

export function bodyIntegrityOf(access: RouteAccess, method: string): BodyIntegrity {
  return access.body ?? (method === 'GET' || method === 'HEAD' ? 'none' : 'content-digest');
}

/** @throws RefusedError `auth.forbidden` */
export function requireRole(actor: Actor, access: RouteAccess): void {
  if (access.allow === 'anybody' || access.allow.includes(actor.role)) return;
  throw new RefusedError(
    'auth.forbidden',
    `The role ${actor.role} may not do this; it is for ${access.allow.join(', ')}.`,
  );
}

/**
 * For routes that name a member: it acts for itself alone.
 *
 * @throws RefusedError `auth.not-yours`
 */
export function requireOwnId(actor: Actor | undefined, role: Role, id: string): void {
  if (actor?.role === role && actor.id === id) return;
  throw new RefusedError('auth.not-yours', `Only ${role} "${id}" itself may do this.`);
}
