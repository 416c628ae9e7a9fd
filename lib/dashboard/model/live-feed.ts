/** Following the server's events for as long as somebody is signed in: EventSource cannot send a token. */
import { EventStreamParser, type ServerEvent } from './event-stream.js';
import { RequestFailure } from './server-api.js';

export type FeedState =
  | { readonly name: 'off' }
  | { readonly name: 'connecting' }
  | { readonly name: 'live' }
  | { readonly name: 'waiting'; readonly untilMs: number; readonly reason: string };

export interface LiveFeedOptions {
  readonly open: (
    lastEventId: string | undefined,
    signal: AbortSignal,
  ) => Promise<AsyncIterable<Uint8Array<ArrayBufferLike>>>;
  readonly onEvent: (event: ServerEvent) => void;
  /** On `live` whatever was read before may be out of date. */
  readonly onState: (state: FeedState) => void;
  readonly firstDelayMs?: number;
  readonly maxDelayMs?: number;
  /** The server sends something every 15 s; a connection that is silent for this long is dead. */
  readonly silenceMs?: number;
}

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 15_000;
const SILENCE_MS = 45_000;

export class LiveFeed {
  readonly #options: LiveFeedOptions;
  #running: AbortController | undefined;
  #lastEventId: string | undefined;

  constructor(options: LiveFeedOptions) {
    this.#options = options;
  }

  /** Follows until `stop`, or until the token is refused. Starting twice changes nothing. */
  start(): void {
    if (this.#running !== undefined) return;
    const controller = new AbortController();
    this.#running = controller;
    void this.#run(controller.signal).finally(() => {
      if (this.#running === controller) this.#running = undefined;
    });
  }

  stop(): void {
    this.#running?.abort();
    this.#running = undefined;
    this.#options.onState({ name: 'off' });
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { onState, firstDelayMs = FIRST_DELAY_MS, maxDelayMs = MAX_DELAY_MS } = this.#options;
    let delayMs = firstDelayMs;
    while (!signal.aborted) {
      onState({ name: 'connecting' });
      let reason = 'The server ended the connection.';
      try {
        await this.#listen(signal, () => {
          delayMs = firstDelayMs;
        });
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof RequestFailure && error.isSignedOut) {
          onState({ name: 'off' });
          return;
        }
        reason = error instanceof Error ? error.message : String(error);
      }
      if (signal.aborted) return;
      // Not all pages of a server that was restarted at one moment.
      const waitMs = delayMs * (0.75 + Math.random() / 2);
      onState({ name: 'waiting', untilMs: Date.now() + waitMs, reason });
      await pause(waitMs, signal);
      delayMs = Math.min(delayMs * 2, maxDelayMs);
    }
  }

  async #listen(signal: AbortSignal, onLive: () => void): Promise<void> {
    const { open, onEvent, onState, silenceMs = SILENCE_MS } = this.#options;
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), silenceMs);
    try {
      const parser = new EventStreamParser(this.#lastEventId);
      const stream = await open(this.#lastEventId, AbortSignal.any([signal, silence.signal]));
      onState({ name: 'live' });
      onLive();
      for await (const bytes of stream) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), silenceMs);
        const events = parser.push(bytes);
        this.#lastEventId = parser.lastEventId;
        for (const event of events) onEvent(event);
      }
    } catch (error) {
      if (silence.signal.aborted) throw new Error('Nothing was heard of the server.', { cause: error });
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}
