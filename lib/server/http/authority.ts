/** Which server a request was meant for: RFC 9421 section 2.2.3. */
import { ParameterError } from '../../errors.js';

const AUTHORITY = /^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/;
const DEFAULT_PORT = { http: ':80', https: ':443' } as const;

/** Lower case, without the scheme's default port. */
export function normalizeAuthority(host: string, scheme: 'http' | 'https'): string {
  const lower = host.toLowerCase();
  const port = DEFAULT_PORT[scheme];
  return lower.endsWith(port) ? lower.slice(0, -port.length) : lower;
}

/**
 * @param authority what clients address, such as `fleet.example.com` or `10.0.0.5:8443`
 * @throws ParameterError `server.bad-authority`
 */
export function requireAuthority(authority: string): string {
  const lower = authority.toLowerCase();
  if (!AUTHORITY.test(lower)) {
    throw new ParameterError(
      'server.bad-authority',
      `"${authority}" is no authority: write host or host:port, as it stands in the address that clients use.`,
    );
  }
  return lower;
}
