/** The server that the dashboard is about, as the loopback server passes requests on to it. */
import { ParameterError } from '../../errors.js';

const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost']);
/** Of an answer; what frames, encodes or keeps a connection is between two machines. */
const PASSED_BACK = ['content-type', 'retry-after', 'x-request-id', 'x-accel-buffering'] as const;
/** Of a request. */
const PASSED_ON = ['accept', 'content-type', 'last-event-id'] as const;

export interface UpstreamRequest {
  readonly method: 'GET' | 'POST';
  /** Path and query. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly authorization: string | undefined;
  readonly body: Uint8Array | undefined;
  readonly signal: AbortSignal;
}

export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ReadableStream<Uint8Array> | null;
}

/** @throws ParameterError `dashboard.bad-server`, `dashboard.insecure-server` */
export function parseServer(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url !== undefined && url.pathname === '/' && url.search === '' && url.hash === '';
  if (url === undefined || !isPlain || !/^https?:$/.test(url.protocol) || url.username !== '') {
    throw new ParameterError(
      'dashboard.bad-server',
      `"${text}" is no server. Name it as https://fleet.example.com, without a path.`,
    );
  }
  if (url.protocol === 'http:' && !LOOPBACK.has(url.hostname)) {
    throw new ParameterError(
      'dashboard.insecure-server',
      `${url.origin} is not encrypted, and the token would travel in the clear. Use https.`,
    );
  }
  return url;
}

/** @throws TypeError where the server cannot be reached, or sends elsewhere */
export async function askUpstream(server: URL, request: UpstreamRequest): Promise<UpstreamAnswer> {
  const { method, target, authorization, body, signal } = request;
  const headers = new Headers();
  for (const name of PASSED_ON) {
    const value = request.headers[name];
    if (typeof value === 'string') headers.set(name, value);
  }
  if (authorization !== undefined) headers.set('authorization', authorization);
  const response = await fetch(new URL(target, server), {
    method,
    headers,
    signal,
    // The token is for this server alone.
    redirect: 'error',
    ...(body !== undefined && { body }),
  });
  const passed = PASSED_BACK.flatMap((name) => {
    const value = response.headers.get(name);
    return value === null ? [] : [[name, value] as const];
  });
  return { status: response.status, headers: Object.fromEntries(passed), body: response.body };
}
