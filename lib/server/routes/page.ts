/** The dashboard's page, at `/`: the same files for everybody, and nothing of the fleet in them. */
import { RefusedError } from '../../errors.js';
import type { AccessTable } from '../auth/access.js';
import type { App } from '../http/app-type.js';

/** Who serves the page asks for its files by path. */
export interface ServedPage {
  /** @returns undefined for a path that is none of the page's */
  answer(request: PageRequest): PageAnswer | undefined;
}

export interface PageRequest {
  readonly path: string;
  readonly ifNoneMatch: string | undefined;
  readonly acceptEncoding: string | undefined;
}

export interface PageAnswer {
  readonly status: 200 | 304;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export const PAGE_PATHS = ['/', '/dashboard/page.js', '/dashboard/page.css', '/dashboard/icon.svg'] as const;

export const PAGE_ACCESS: AccessTable = {
  'GET /': { allow: 'anybody' },
  'GET /dashboard/page.js': { allow: 'anybody' },
  'GET /dashboard/page.css': { allow: 'anybody' },
  'GET /dashboard/icon.svg': { allow: 'anybody' },
};

/** @param page undefined where the server was started without one */
export function registerPageRoutes(app: App, page: ServedPage | undefined): void {
  for (const path of PAGE_PATHS) {
    app.get(path, { schema: { hide: true } }, async (request, reply) => {
      const { 'if-none-match': ifNoneMatch, 'accept-encoding': encodings } = request.headers;
      const acceptEncoding = Array.isArray(encodings) ? encodings.join(', ') : encodings;
      const answer = page?.answer({ path, ifNoneMatch, acceptEncoding });
      if (answer === undefined) {
        throw new RefusedError('request.not-found', 'This server was started without the dashboard.');
      }
      return reply.code(answer.status).headers(answer.headers).send(answer.body);
    });
  }
}
