/**
 * The service's API from a machine's side: each request is signed, and made again after a failure that time may lift.
 *
 * Every request of the API is idempotent, so all may be repeated. Each attempt is signed anew: a nonce is good for one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import {
  EnvironmentError,
  FormatError,
  ParameterError,
  RefusedError,
  TensorGuardError,
} from '../../errors.js';
import { contentDigestOf } from '../../server/auth/content-digest.js';
import type { BodyIntegrity } from '../../server/auth/signature-profile.js';
import { type ApiError, apiError, isTemporary } from './api-errors.js';
import { type BackoffOptions, DEFAULT_BACKOFF, delayMs, parseRetryAfter } from './backoff.js';
import { bodyUntil, GivingUp, resultUntil } from './giving-up.js';
import { bytesBody, fileBody, jsonBody, type RequestBody } from './request-body.js';
import { type RequestSigningKey, signRequest } from './request-signer.js';

export interface SignedClientOptions {
  /** Such as `https://fleet.example.com`: without a path, which a proxy would have to take off again. */
  readonly baseUrl: string;
  readonly key: RequestSigningKey;
  readonly backoff?: Partial<BackoffOptions>;
  /** For one attempt, from connecting to the last byte of the answer; uploads of files have their own. */
  readonly attemptTimeoutMs?: number;
  readonly uploadTimeoutMs?: number;
  /** Told before each wait: for a daemon's log. */
  readonly onRetry?: (attempt: FailedAttempt) => void;
  /** What the machine's clock says; for tests. */
  readonly now?: () => number;
}

export interface FailedAttempt {
  /** From 1. */
  readonly attempt: number;
  readonly error: Error;
  readonly waitMs: number;
}

export type QueryValue = string | number | undefined;

export interface CallOptions {
  readonly query?: Readonly<Record<string, QueryValue>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  readonly attemptTimeoutMs?: number;
}

interface Call extends CallOptions {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: RequestBody;
  readonly integrity?: BodyIntegrity;
}

const DEFAULT_ATTEMPT_TIMEOUT_MS = 30_000;
const DEFAULT_UPLOAD_TIMEOUT_MS = 600_000;
/** Of an answer that is read into memory. */
const MAX_JSON_BYTES = 8 << 20;
const MAX_PROBLEM_BYTES = 64 << 10;
/** Less is within what the service allows. */
const REMARKABLE_SKEW_MS = 30_000;

export class SignedClient {
  readonly #base: URL;
  readonly #backoff: BackoffOptions;

  /** @throws ParameterError `http.bad-base-url` */
  constructor(private readonly options: SignedClientOptions) {
    this.#base = parseBase(options.baseUrl);
    this.#backoff = { ...DEFAULT_BACKOFF, ...options.backoff };
  }

  /** @throws what `request` throws; FormatError `http.bad-answer` */
  getJson<T>(path: string, schema: z.ZodType<T>, options: CallOptions = {}): Promise<T> {
    return this.request({ ...options, method: 'GET', path }, (response, signal) =>
      readJson(response, schema, signal),
    );
  }

  /** @throws what `request` throws; FormatError `http.bad-answer` */
  sendJson<T>(
    method: 'PUT' | 'POST',
    path: string,
    value: unknown,
    schema: z.ZodType<T>,
    options: CallOptions = {},
  ): Promise<T> {
    const call = { ...options, method, path, body: jsonBody(value) };
    return this.request(call, (response, signal) => readJson(response, schema, signal));
  }

  /** A container in memory. @param integrity `named-by-path` where the path has its fingerprint */
  putBytes<T>(
    path: string,
    data: Uint8Array,
    integrity: 'content-digest' | 'named-by-path',
    schema: z.ZodType<T>,
    options: CallOptions = {},
  ): Promise<T> {
    const call: Call = { ...options, method: 'PUT', path, body: bytesBody(data), integrity };
    return this.request(call, (response, signal) => readJson(response, schema, signal));
  }

  /** Streams a file that the path names by its fingerprint. */
  putFile<T>(path: string, file: string, schema: z.ZodType<T>, options: CallOptions = {}): Promise<T> {
    const attemptTimeoutMs =
      options.attemptTimeoutMs ?? this.options.uploadTimeoutMs ?? DEFAULT_UPLOAD_TIMEOUT_MS;
    const body = fileBody(file);
    return this.request(
      { ...options, attemptTimeoutMs, method: 'PUT', path, body, integrity: 'named-by-path' },
      (response, signal) => readJson(response, schema, signal),
    );
  }

  /** @throws what `request` throws; FormatError `http.bad-answer` for more than `maxBytes` */
  getBytes(path: string, maxBytes: number, options: CallOptions = {}): Promise<Uint8Array> {
    return this.request({ ...options, method: 'GET', path }, (response, signal) =>
      readBytes(response, maxBytes, signal),
    );
  }

  /**
   * For event streams and downloads: the attempts end with the headers, and the caller reads the body, under its own signal.
   *
   * @throws what `request` throws
   */
  async openStream(path: string, options: CallOptions = {}): Promise<Response> {
    return this.request({ ...options, method: 'GET', path }, async (response) => response);
  }

  /**
   * @param read makes the result from an answer of status 200 to 299; if the connection breaks meanwhile, the request is made again
   * @throws ApiRefusedError with the service's code; ApiUnavailableError, EnvironmentError `http.unreachable`, `http.timeout` once
   *   all attempts are used up; RefusedError `http.aborted`; ParameterError `http.bad-path`
   */
  async request<T>(call: Call, read: (response: Response, signal: AbortSignal) => Promise<T>): Promise<T> {
    const url = this.#urlOf(call);
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.#attempt(call, url, read);
      if ('value' in outcome) return outcome.value;
      if (attempt >= this.#backoff.maxAttempts || !outcome.retry) throw outcome.error;
      // Not a secret: it only spreads the fleet's attempts.
      const waitMs = delayMs(this.#backoff, attempt, outcome.retryAfterMs, Math.random());
      this.options.onRetry?.({ attempt, error: outcome.error, waitMs });
      await sleep(waitMs, undefined, call.signal === undefined ? {} : { signal: call.signal }).catch(() => {
        throw aborted();
      });
    }
  }

  #urlOf({ path, query = {} }: Call): URL {
    const url = new URL(path, this.#base);
    if (url.origin !== this.#base.origin || url.pathname !== path) {
      throw new ParameterError(
        'http.bad-path',
        `"${path}" is no path of the API. Build it from ids and digits.`,
      );
    }
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    return url;
  }

  async #attempt<T>(
    call: Call,
    url: URL,
    read: (response: Response, signal: AbortSignal) => Promise<T>,
  ): Promise<Outcome<T>> {
    if (call.signal?.aborted) throw aborted();
    const timeoutMs = call.attemptTimeoutMs ?? this.options.attemptTimeoutMs ?? DEFAULT_ATTEMPT_TIMEOUT_MS;
    // First: where it cannot be opened, there is no timer to stop.
    const body = await call.body?.open();
    const givingUp = new GivingUp(call.signal, timeoutMs);
    const { signal } = givingUp;
    givingUp.heard();
    const what = `${call.method} ${url.pathname}`;
    try {
      const answer = fetch(url, {
        method: call.method,
        headers: await this.#headers(call, url, body?.sizeBytes),
        body: body === undefined ? null : body.content,
        ...(body !== undefined && { duplex: 'half' }),
        // A signature is for one authority and path; what another one wants is not for us to sign.
        redirect: 'error',
        signal,
      });
      const response = await resultUntil(answer, signal);
      if (response.ok) return { value: await read(response, signal) };
      return await this.#failure(response, what, signal);
    } catch (error) {
      // An answer that cannot be read, or a key that does not sign: the same would come again.
      if (error instanceof TensorGuardError) throw error;
      if (call.signal?.aborted) throw aborted();
      return {
        error: networkError(what, this.#base, signal.aborted, timeoutMs, error),
        retry: true,
      };
    } finally {
      givingUp.end();
      await body?.close();
    }
  }

  async #headers(call: Call, url: URL, sizeBytes: number | undefined): Promise<Record<string, string>> {
    const integrity = call.integrity ?? (call.method === 'GET' ? 'none' : 'content-digest');
    const contentDigest =
      integrity === 'content-digest' ? contentDigestOf(call.body?.bytes ?? new Uint8Array()) : undefined;
    const signed = await signRequest(
      this.options.key,
      { method: call.method, target: `${url.pathname}${url.search}`, authority: url.host, contentDigest },
      this.#now(),
    );
    return {
      ...call.headers,
      ...(call.body !== undefined && { 'content-type': call.body.mediaType }),
      // fetch knows the length of bytes; a stream would go out in chunks, which the service refuses.
      ...(sizeBytes !== undefined &&
        call.body?.bytes === undefined && { 'content-length': String(sizeBytes) }),
      ...signed,
    };
  }

  async #failure(response: Response, what: string, signal: AbortSignal): Promise<FailedOutcome> {
    const problem = await readBytes(response, MAX_PROBLEM_BYTES, signal).catch(() => undefined);
    const text = new TextDecoder().decode(problem);
    const advice = this.#clockAdvice(response);
    const error = apiError(response.status, text, what, advice);
    const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), this.#now());
    return { error, retry: isTemporary(response.status), retryAfterMs };
  }

  #clockAdvice(response: Response): string | undefined {
    const serverMs = Date.parse(response.headers.get('date') ?? '');
    const skewMs = this.#now() - serverMs;
    if (Number.isNaN(serverMs) || Math.abs(skewMs) <= REMARKABLE_SKEW_MS) return undefined;
    const seconds = Math.round(Math.abs(skewMs) / 1000);
    return `This machine's clock is ${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} the server's: set it.`;
  }

  #now(): number {
    return this.options.now?.() ?? Date.now();
  }
}

interface FailedOutcome {
  readonly error: ApiError | EnvironmentError;
  readonly retry: boolean;
  readonly retryAfterMs?: number | undefined;
}

type Outcome<T> = { readonly value: T } | FailedOutcome;

function parseBase(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain =
    url !== undefined &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    `${url.pathname}${url.search}${url.hash}${url.username}${url.password}` === '/';
  if (!plain) {
    throw new ParameterError(
      'http.bad-base-url',
      `"${text}" is no address of a server: write https://host or https://host:port.`,
    );
  }
  return url;
}

function networkError(
  what: string,
  base: URL,
  timedOut: boolean,
  timeoutMs: number,
  cause: unknown,
): EnvironmentError {
  return timedOut
    ? new EnvironmentError('http.timeout', `${what} was not done within ${timeoutMs} ms at ${base.host}.`, {
        cause,
      })
    : new EnvironmentError(
        'http.unreachable',
        `${what} did not reach ${base.host}, or no answer came back. Check the network and the address.`,
        { cause },
      );
}

function aborted(): RefusedError {
  return new RefusedError('http.aborted', 'The request was given up before it was answered.');
}

async function readJson<T>(response: Response, schema: z.ZodType<T>, signal: AbortSignal): Promise<T> {
  const text = new TextDecoder().decode(await readBytes(response, MAX_JSON_BYTES, signal));
  const parsed = schema.safeParse(text === '' ? undefined : parseJson(text));
  if (parsed.success) return parsed.data;
  const where = parsed.error.issues[0]?.path.join('.') ?? '';
  throw new FormatError(
    'http.bad-answer',
    `The server's answer is not what this version reads${where === '' ? '' : ` (${where})`}. Bring both to one version.`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A server that never stops sending must not fill the memory. */
async function readBytes(response: Response, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const piece of bodyUntil(response.body, signal)) {
    sizeBytes += piece.length;
    if (sizeBytes > maxBytes) {
      throw new FormatError('http.bad-answer', `The server's answer is longer than ${maxBytes} bytes.`);
    }
    pieces.push(piece);
  }
  return Uint8Array.from(Buffer.concat(pieces));
}
