/**
 * Connections without a request, which would hold up the end: Node waits for one that was opened and never used as for one that
 * is served, until its headers are overdue, and for one whose stream ended after the close until its keep-alive is. Clients
 * open some in advance.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { App } from './app-type.js';

/** A request whose head is on its way is still told that the server is closing. */
const ARRIVAL_MS = 1_000;

export function installConnectionEnds(app: App, encrypted: boolean): void {
  /** Requests that are being answered on each connection: several, where they are pipelined. */
  const answering = new Map<Socket, number>();
  app.server.on(encrypted ? 'secureConnection' : 'connection', (socket: Socket) => {
    answering.set(socket, 0);
    socket.once('close', () => answering.delete(socket));
  });
  app.server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    answering.set(socket, (answering.get(socket) ?? 0) + 1);
    response.once('close', () => {
      const left = (answering.get(socket) ?? 1) - 1;
      if (answering.has(socket)) answering.set(socket, left);
      // What was written is still sent.
      if (left === 0 && app.closing.aborted) socket.destroySoon();
    });
  });
  const endUnused = (isUnused: (socket: Socket) => boolean): void => {
    for (const [socket, requests] of answering) if (requests === 0 && isUnused(socket)) socket.destroy();
  };
  app.closing.addEventListener('abort', () => {
    endUnused(({ bytesRead }) => bytesRead === 0);
    setTimeout(() => endUnused(() => true), ARRIVAL_MS).unref();
  });
}
