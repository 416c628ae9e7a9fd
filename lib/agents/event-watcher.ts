/** Listening to the service's events, to look at once when something has changed. Polling does without it. */
import { setTimeout as delay } from 'node:timers/promises';
import { GivingUp } from './http/giving-up.js';

export interface EventWatcherOptions {
  /** Opens the stream of server-sent events, which fails once the signal is aborted. */
  readonly open: (signal: AbortSignal) => Promise<AsyncIterable<Uint8Array>>;
  readonly onEvent: () => void;
  readonly stopping: AbortSignal;
  readonly reconnectMs?: number;
  /** The service sends something every 15 s; a connection that is silent for this long is dead. */
  readonly silenceMs?: number;
}

const DEFAULT_RECONNECT_MS = 30_000;
const DEFAULT_SILENCE_MS = 60_000;

/** Runs until it is stopped; failures only mean that polling has to do. */
export async function watchEvents(options: EventWatcherOptions): Promise<void> {
  const { stopping, reconnectMs = DEFAULT_RECONNECT_MS } = options;
  while (!stopping.aborted) {
    await listen(options).catch(() => undefined);
    // A fleet that lost the server at one moment must not come back at one moment.
    const waitMs = reconnectMs * (0.5 + Math.random());
    await delay(waitMs, undefined, { signal: stopping, ref: false }).catch(() => undefined);
  }
}

async function listen({ open, onEvent, stopping, silenceMs = DEFAULT_SILENCE_MS }: EventWatcherOptions) {
  const givingUp = new GivingUp(stopping, silenceMs);
  try {
    givingUp.heard();
    let line = '';
    for await (const bytes of await open(givingUp.signal)) {
      givingUp.heard();
      // What an event says is asked for again: only that there is one counts. Names are ASCII.
      for (const character of Buffer.from(bytes).toString('latin1')) {
        if (character === '\n') {
          if (line.startsWith('event:')) onEvent();
          line = '';
        } else if (line.length < 'event:'.length) line += character;
      }
    }
  } finally {
    givingUp.end();
  }
}
