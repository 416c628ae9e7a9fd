/** Robots that send: again and again while nobody answers, as the daemon beside a trainer does, until they know. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { ApiRefusedError } from '../../lib/agents/http/api-errors.js';
import { SignedClient } from '../../lib/agents/http/signed-client.js';
import { EnvironmentError } from '../../lib/errors.js';
import type { Robot } from './fleet.js';

const answerSchema = z.object({ state: z.string(), code: z.string().optional() });

export type Outcome =
  | { readonly kind: 'acknowledged'; readonly state: string }
  | { readonly kind: 'refused'; readonly code: string };

export interface Upload {
  readonly robot: Robot;
  /** Of the update, as the path names it. */
  readonly fingerprint: string;
  /** A file, or bytes. */
  readonly content: string | Uint8Array;
}

const RETRY_MS = 150;
const GIVE_UP_MS = 120_000;

export class Sender {
  /** Of each upload that was acknowledged, from the attempt's beginning to its answer. */
  readonly latenciesMs: number[] = [];
  /** Attempts that a kill or a restart cost. */
  failedAttempts = 0;
  /** Attempts that were acknowledged, in the order of their answers; performance.now(). */
  readonly acknowledged: { readonly startedAt: number; readonly at: number }[] = [];
  readonly #clients = new Map<string, SignedClient>();
  #next = 0;

  /** @param addresses of the servers, any of which takes any update */
  constructor(
    private readonly addresses: readonly string[],
    private readonly plan: string,
    private readonly onAcknowledged: (fingerprint: string) => void = () => undefined,
  ) {}

  /** Sends all, `concurrency` at a time. @returns what became of each, in order */
  async sendAll(uploads: readonly Upload[], concurrency: number): Promise<Outcome[]> {
    const outcomes = new Array<Outcome>(uploads.length);
    let next = 0;
    const work = async (): Promise<void> => {
      for (let i = next++; i < uploads.length; i = next++) {
        outcomes[i] = await this.send(uploads[i] as Upload);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, work));
    return outcomes;
  }

  /** @throws EnvironmentError `soak.unanswered` when nobody has answered for two minutes */
  async send(upload: Upload): Promise<Outcome> {
    let last: unknown;
    for (const end = Date.now() + GIVE_UP_MS; Date.now() < end; await sleep(RETRY_MS)) {
      const startedAt = performance.now();
      try {
        const { state } = await this.#attempt(upload);
        const at = performance.now();
        this.acknowledged.push({ startedAt, at });
        this.latenciesMs.push(at - startedAt);
        this.onAcknowledged(upload.fingerprint);
        return { kind: 'acknowledged', state };
      } catch (error) {
        if (error instanceof ApiRefusedError) return { kind: 'refused', code: error.code };
        if (!(error instanceof EnvironmentError)) throw error;
        last = error;
        this.failedAttempts += 1;
      }
    }
    throw new EnvironmentError(
      'soak.unanswered',
      `Nobody has answered ${upload.robot.id} for ${GIVE_UP_MS} ms: ${last}`,
      { cause: last },
    );
  }

  #attempt({ robot, fingerprint, content }: Upload): Promise<z.infer<typeof answerSchema>> {
    const address = this.addresses[this.#next++ % this.addresses.length] as string;
    const path = `/v1/rounds/${this.plan}/updates/${fingerprint}`;
    const client = this.#client(robot, address);
    return typeof content === 'string'
      ? client.putFile(path, content, answerSchema, { attemptTimeoutMs: 60_000 })
      : client.putBytes(path, content, 'named-by-path', answerSchema, { attemptTimeoutMs: 60_000 });
  }

  #client(robot: Robot, baseUrl: string): SignedClient {
    const key = `${baseUrl} ${robot.id}`;
    const known = this.#clients.get(key);
    if (known !== undefined) return known;
    const client = new SignedClient({ baseUrl, key: robot.signing, backoff: { maxAttempts: 1 } });
    this.#clients.set(key, client);
    return client;
  }
}

/** Does it until a server answers: for the owner's and the custodians' side, which kills hit as well. */
export async function untilAnswered<T>(work: (attempt: number) => Promise<T>): Promise<T> {
  let last: unknown;
  let attempt = 0;
  for (const end = Date.now() + GIVE_UP_MS; Date.now() < end; await sleep(RETRY_MS)) {
    try {
      return await work(attempt++);
    } catch (error) {
      if (error instanceof ApiRefusedError || !(error instanceof EnvironmentError)) throw error;
      last = error;
    }
  }
  throw new EnvironmentError('soak.unanswered', `Nobody has answered for ${GIVE_UP_MS} ms: ${last}`, {
    cause: last,
  });
}
