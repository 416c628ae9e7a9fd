/** Headers that a browser needs to see, on every answer. A route that has set one keeps its own. */
import type { App } from './app-type.js';

const HEADERS: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

const STRICT_TRANSPORT = 'max-age=31536000';

export function installSecurityHeaders(app: App, tls: boolean): void {
  app.addHook('onSend', async (request, reply, payload) => {
    for (const [name, value] of Object.entries(HEADERS)) {
      if (!reply.hasHeader(name)) reply.header(name, value);
    }
    if (tls) reply.header('strict-transport-security', STRICT_TRANSPORT);
    reply.header('x-request-id', request.id);
    // A connection that stays open would hold the shutdown up until its next request.
    if (app.closing.aborted) reply.header('connection', 'close');
    return payload;
  });
}
