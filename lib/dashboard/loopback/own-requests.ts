/**
 * Requests of the page itself, and of nothing else that runs in the same browser: another site's page can send requests to
 * loopback, and a name that it has made resolve to loopback would even read the answers.
 */
import type { IncomingMessage } from 'node:http';

const SAME = new Set(['same-origin', 'none']);

/** @param port that the server listens on */
export function isOwnRequest({ headers }: Pick<IncomingMessage, 'headers'>, port: number): boolean {
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  const { host, origin } = headers;
  if (host === undefined || !hosts.includes(host)) return false;
  if (origin !== undefined && origin !== `http://${host}`) return false;
  const site = headers['sec-fetch-site'];
  return site === undefined || (typeof site === 'string' && SAME.has(site));
}
