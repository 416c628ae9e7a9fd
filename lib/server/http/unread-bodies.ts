/**
 * What becomes of a body that was refused before it was read to its end. Node discards one that nobody has begun to read,
 * but not one of which somebody has read the beginning: that would lie in the connection, and the next request of the
 * connection behind it, until a timeout ends both.
 */
import type { IncomingMessage } from 'node:http';
import type { App } from './app-type.js';

/** More than any refused update has left; whoever sends more than that for nothing loses the connection. */
const MAX_DISCARDED_BYTES = 8 << 20;

export function installUnreadBodies(app: App): void {
  app.addHook('onSend', async ({ raw }, reply) => {
    // Nothing can be read from it any more, so nothing can follow it.
    if (raw.destroyed && !raw.complete) reply.header('connection', 'close');
  });
  // After the answer: whoever sends first and listens then gets to it either way.
  app.addHook('onResponse', async ({ raw }) => discardRest(raw));
}

function discardRest(body: IncomingMessage): void {
  if (body.readableEnded || body.destroyed) return;
  // Readers that gave up: while one is attached, nothing flows.
  body.unpipe();
  body.removeAllListeners('readable');
  body.removeAllListeners('data');
  let discarded = 0;
  body.on('data', (part: Uint8Array) => {
    discarded += part.length;
    if (discarded > MAX_DISCARDED_BYTES) body.destroy();
  });
  body.on('error', () => undefined);
  // That no reader is left takes effect in the next tick; a stream that is resumed before stays paused.
  setImmediate(() => body.resume());
}
