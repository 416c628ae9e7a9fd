/** Requests of the page to the server that it came from, with the token that the person has entered. */
import type { Problem } from '../../server/problems/problem.js';

/** What the server answered instead of what was asked for; `unreachable` where it did not answer. */
export class RequestFailure extends Error {
  constructor(
    readonly status: number | 'unreachable',
    readonly code: string,
    detail: string,
  ) {
    super(detail);
    this.name = 'RequestFailure';
  }

  /** The token is none, not any more, or not known here: somebody has to enter one. */
  get isSignedOut(): boolean {
    return this.status === 401;
  }
}

export interface ServerApiOptions {
  /** The token as it stands now; undefined while nobody is signed in. */
  readonly token: () => string | undefined;
  /** Called with a token that the server refused. */
  readonly onRefused: (token: string | undefined, failure: RequestFailure) => void;
  readonly fetch?: typeof fetch;
  /** Absent: the page's own origin. */
  readonly baseUrl?: string;
}

export class ServerApi {
  readonly #options: ServerApiOptions;
  readonly #fetch: typeof fetch;

  constructor(options: ServerApiOptions) {
    this.#options = options;
    this.#fetch = options.fetch ?? ((...parameters) => fetch(...parameters));
  }

  /** @throws RequestFailure */
  async get<T>(path: string): Promise<T> {
    const response = await this.#send(path, { headers: { accept: 'application/json' } });
    return (await response.json()) as T;
  }

  /** @throws RequestFailure */
  async post<T>(path: string, body: Readonly<Record<string, unknown>>): Promise<T> {
    const response = await this.#send(path, {
      method: 'POST',
      headers: { accept: 'application/json', 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return (await response.json()) as T;
  }

  /** The server's events after the last one that was seen. @throws RequestFailure */
  async events(
    lastEventId: string | undefined,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array<ArrayBufferLike>>> {
    const response = await this.#send('/v1/events', {
      headers: {
        accept: 'text/event-stream',
        ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
      },
      signal,
    });
    if (response.body === null) throw unreachable();
    return piecesOf(response.body);
  }

  async #send(path: string, init: RequestInit & { headers: Record<string, string> }): Promise<Response> {
    const token = this.#options.token();
    if (token === undefined) throw new RequestFailure(401, 'auth.required', 'Nobody is signed in.');
    const response = await this.#fetch(`${this.#options.baseUrl ?? ''}${path}`, {
      ...init,
      headers: { ...init.headers, authorization: `Bearer ${token}` },
      // The token goes to this server, and to none that it might name.
      redirect: 'error',
      credentials: 'omit',
    }).catch(() => {
      throw unreachable();
    });
    if (response.ok) return response;
    const failure = await failureOf(response);
    if (failure.isSignedOut) this.#options.onRefused(token, failure);
    throw failure;
  }
}

/** Not every browser iterates over streams by itself. */
async function* piecesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

async function failureOf(response: Response): Promise<RequestFailure> {
  const problem = (await response.json().catch(() => undefined)) as Partial<Problem> | undefined;
  const { code = `http.${response.status}`, detail = `The server answered ${response.status}.` } =
    problem ?? {};
  return new RequestFailure(response.status, String(code), String(detail));
}

function unreachable(): RequestFailure {
  return new RequestFailure('unreachable', 'http.unreachable', 'The server cannot be reached.');
}
