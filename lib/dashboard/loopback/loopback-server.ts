/**
 * A small server on this machine that serves the page and passes its requests on: for whoever runs the dashboard beside a browser
 * and the service elsewhere. It listens on loopback alone, and answers nobody but the page that it served.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { TensorGuardError } from '../../errors.js';
import { requireTarget } from '../../server/http/request-shape.js';
import { PROBLEM_MEDIA_TYPE, problemOf } from '../../server/problems/problem.js';
import type { ServedPage } from '../../server/routes/page.js';
import { LaunchKey } from './launch-key.js';
import { isOwnRequest } from './own-requests.js';
import { askUpstream } from './upstream.js';

export interface LoopbackOptions {
  readonly page: ServedPage;
  /** As `parseServer` gives it. */
  readonly server: URL;
  /** 0 for a free one. */
  readonly port: number;
  /** Read for each request, so that a new token in the file counts at once; absent: the person enters one in the page. */
  readonly token?: (() => Promise<string>) | undefined;
}

const LOOPBACK = '127.0.0.1';
const MAX_BODY_BYTES = 64 << 10;
/** What the page asks for. Everything else of the service is not for browsers. */
const PASSED_ON = /^\/(?:v1\/|readyz$)/;
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

export class LoopbackServer {
  readonly #server: Server;
  readonly #options: LoopbackOptions;
  readonly #launchKey = new LaunchKey();
  readonly #closing = new AbortController();

  private constructor(options: LoopbackOptions) {
    this.#options = options;
    this.#server = createServer({ maxHeaderSize: 8 << 10 }, (request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        if (response.headersSent) response.destroy();
        else sendProblem(response, error);
      });
    });
  }

  /** @throws the system's error where the port is taken */
  static async start(options: LoopbackOptions): Promise<LoopbackServer> {
    const loopback = new LoopbackServer(options);
    loopback.#server.listen(options.port, LOOPBACK);
    await once(loopback.#server, 'listening');
    return loopback;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    return `http://${LOOPBACK}:${this.port}`;
  }

  /** What to open in a browser. Where there is a token file it lets whoever has it in: print it to the person alone. */
  get launchAddress(): string {
    const fragment = this.#options.token === undefined ? '' : `#launch=${this.#launchKey.text}`;
    return `${this.address}/${fragment}`;
  }

  async stop(): Promise<void> {
    this.#closing.abort();
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!isOwnRequest(request, this.port)) {
      throw new LoopbackError('dashboard.other-origin', 403, 'Open the address that the command printed.');
    }
    const target = request.url ?? '';
    requireTarget(target);
    const { method } = request;
    const path = target.replace(/\?.*$/, '');
    const file = this.#options.page.answer({
      path,
      ifNoneMatch: request.headers['if-none-match'],
      acceptEncoding: request.headers['accept-encoding'],
    });
    if (file !== undefined && method === 'GET') {
      response.writeHead(file.status, { ...HEADERS, ...file.headers });
      response.end(file.body);
      return;
    }
    if (!PASSED_ON.test(path) || (method !== 'GET' && method !== 'POST')) {
      throw new LoopbackError('request.not-found', 404, 'There is nothing here.');
    }
    await this.#pass(request, response, method, target);
  }

  async #pass(
    request: IncomingMessage,
    response: ServerResponse,
    method: 'GET' | 'POST',
    target: string,
  ): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const { headers } = request;
    const answer = await askUpstream(this.#options.server, {
      ...{ method, target, headers },
      authorization: await this.#authorizationOf(headers.authorization),
      body: method === 'POST' ? await bodyOf(request) : undefined,
      signal: AbortSignal.any([gone.signal, this.#closing.signal]),
    }).catch((cause: unknown) => {
      const { origin } = this.#options.server;
      throw new LoopbackError('dashboard.unreachable', 502, `${origin} cannot be reached.`, { cause });
    });
    response.writeHead(answer.status, { ...HEADERS, ...answer.headers });
    if (answer.body === null) response.end();
    // Either side may go at any time; the page begins again.
    else await pipeline(Readable.fromWeb(answer.body), response).catch(() => response.destroy());
  }

  /** The launch key becomes the token; whatever else somebody entered goes as it is. */
  async #authorizationOf(authorization: string | undefined): Promise<string | undefined> {
    const { token } = this.#options;
    if (token === undefined || !this.#launchKey.isIn(authorization)) return authorization;
    return `Bearer ${await token()}`;
  }
}

class LoopbackError extends TensorGuardError {
  constructor(
    code: string,
    readonly status: number,
    message: string,
    options?: { cause: unknown },
  ) {
    super(code, message, options);
  }
}

async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  for await (const piece of request) {
    sizeBytes += (piece as Buffer).length;
    if (sizeBytes > MAX_BODY_BYTES) {
      throw new LoopbackError('request.too-large', 413, `A request has up to ${MAX_BODY_BYTES} bytes.`);
    }
    pieces.push(piece as Buffer);
  }
  return Buffer.concat(pieces);
}

function sendProblem(response: ServerResponse, error: unknown): void {
  const known = error instanceof TensorGuardError ? error : undefined;
  const status = error instanceof LoopbackError ? error.status : known === undefined ? 500 : 400;
  const code = known?.code ?? 'internal.unexpected';
  // Of a failure that is none of ours the message may name what is on this machine.
  const detail = known?.message ?? 'The dashboard failed; its terminal may say more.';
  response.writeHead(status, { ...HEADERS, 'content-type': PROBLEM_MEDIA_TYPE });
  response.end(JSON.stringify(problemOf({ status, code, detail })));
}
