/** Ending an agent: what it is doing is finished, and what does not end by itself is given up after a while. */
import { setMaxListeners } from 'node:events';

/** Less than the 90 s after which systemd kills. */
const DEFAULT_GRACE_MS = 20_000;

export class Shutdown {
  readonly #stopping = new AbortController();
  readonly #aborting = new AbortController();

  constructor(private readonly graceMs = DEFAULT_GRACE_MS) {
    // A process may run many agents, each of which listens several times.
    setMaxListeners(0, this.#stopping.signal, this.#aborting.signal);
  }

  /** No new step begins. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Requests that are under way are given up: each can be made again. */
  get aborting(): AbortSignal {
    return this.#aborting.signal;
  }

  /** The first call lets the step in progress finish; a second one gives up what it waits for. */
  stop(): void {
    if (this.#stopping.signal.aborted) {
      this.#aborting.abort();
      return;
    }
    this.#stopping.abort();
    setTimeout(() => this.#aborting.abort(), this.graceMs).unref();
  }
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** Stops at SIGTERM and SIGINT while `body` runs. */
export async function stoppingOnSignals<T>(shutdown: Shutdown, body: () => Promise<T>): Promise<T> {
  const stop = (): void => shutdown.stop();
  for (const signal of SIGNALS) process.on(signal, stop);
  try {
    return await body();
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop);
  }
}
