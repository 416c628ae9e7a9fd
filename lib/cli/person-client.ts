/** Reading from a server as a person does: with a bearer token, which comes from a file and goes nowhere but there. */
import type { Command } from 'commander';
import type { z } from 'zod';
import { apiError } from '../agents/http/api-errors.js';
import { EnvironmentError, FormatError, ParameterError, RefusedError } from '../errors.js';
import { readTokenFile } from './token-file.js';

const TIMEOUT_MS = 30_000;
const MAX_BODY_CHARACTERS = 64 << 20;
const LOOPBACK = new Set(['127.0.0.1', '[::1]', 'localhost']);

export interface PersonOptions {
  readonly server?: string;
  readonly tokenFile?: string;
}

export function personOptions(command: Command): Command {
  return command
    .option('--server <url>', 'the server, such as https://fleet.example.com')
    .option('--token-file <file>', 'a file with the token of a viewer or operator (server token create)');
}

export class PersonClient {
  private constructor(
    private readonly server: URL,
    private readonly token: string | undefined,
  ) {}

  /** @throws ParameterError `http.bad-base-url`; RefusedError `token.insecure-server`; as `readTokenFile` does */
  static async open(
    server: string,
    tokenFile: string | undefined,
    environmentToken?: string,
  ): Promise<PersonClient> {
    const url = urlOf(server);
    if (tokenFile === undefined && environmentToken === undefined) return new PersonClient(url, undefined);
    // In the clear it would be everybody's on the way.
    if (url.protocol !== 'https:' && !LOOPBACK.has(url.hostname)) {
      throw new RefusedError(
        'token.insecure-server',
        `${url.origin} is not reached by TLS, and a token is not sent in the clear. Name the server by https://.`,
      );
    }
    if (tokenFile === undefined) return new PersonClient(url, environmentToken?.trim());
    return new PersonClient(url, await readTokenFile(tokenFile));
  }

  /**
   * @param accepted statuses whose answers count as such
   * @throws ApiRefusedError, ApiUnavailableError; EnvironmentError `http.unreachable`; FormatError `http.bad-answer`
   */
  get<T>(path: string, schema: z.ZodType<T>, accepted: readonly number[] = [200]): Promise<T> {
    return this.#call('GET', path, undefined, schema, accepted);
  }

  /** Of what an operator decides. @throws as `get` */
  post<T>(path: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    return this.#call('POST', path, body, schema, [200, 201]);
  }

  async #call<T>(
    method: 'GET' | 'POST',
    path: string,
    body: unknown,
    schema: z.ZodType<T>,
    accepted: readonly number[],
  ): Promise<T> {
    const response = await this.#fetch(method, path, body);
    const text = await response.text();
    if (!accepted.includes(response.status)) {
      const advice = response.status === 401 ? 'Give a token: --token-file FILE.' : undefined;
      throw apiError(response.status, text, `${method} ${path}`, advice);
    }
    try {
      if (text.length > MAX_BODY_CHARACTERS) throw new RangeError('too long');
      return schema.parse(JSON.parse(text));
    } catch (cause) {
      throw new FormatError(
        'http.bad-answer',
        `${this.server.origin} answered ${method} ${path} with something else than this version understands. Is it a TensorGuard server of this version?`,
        { cause },
      );
    }
  }

  async #fetch(method: 'GET' | 'POST', path: string, body: unknown): Promise<Response> {
    const headers = {
      ...(this.token !== undefined && { authorization: `Bearer ${this.token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    };
    try {
      return await fetch(new URL(path, this.server), {
        ...{ method, headers },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch (cause) {
      throw new EnvironmentError(
        'http.unreachable',
        `${this.server.origin} does not answer. Is the server running, and is this its address?`,
        { cause },
      );
    }
  }
}

function urlOf(server: string): URL {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url !== undefined && ['http:', 'https:'].includes(url.protocol)) return url;
  throw new ParameterError(
    'http.bad-base-url',
    `"${server}" is no address of a server. Write it as https://fleet.example.com.`,
  );
}
