/**
 * One signal for "stop" and "nothing comes any more".
 *
 * Not by `AbortSignal.any`, nor by the signal that `fetch` was given: Node 20 forgets both once the garbage collector has been
 * by, and a body that is read for hours would go on past its end.
 */
export class GivingUp {
  readonly #controller = new AbortController();
  readonly #stop = (): void => this.#controller.abort();
  #timer: NodeJS.Timeout | undefined;

  /** The caller calls `end`. @param silenceMs how long nothing may be heard; from the first `heard` on */
  constructor(
    private readonly stopping: AbortSignal | undefined,
    private readonly silenceMs: number,
  ) {
    if (stopping?.aborted) this.#stop();
    else stopping?.addEventListener('abort', this.#stop, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  heard(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#stop, this.silenceMs);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.stopping?.removeEventListener('abort', this.#stop);
  }
}

/** What a promise comes to, unless the signal is aborted first: then it fails, and the promise is left to itself. */
export async function resultUntil<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let give = (): void => undefined;
  const givenUp = new Promise<never>((_resolve, reject) => {
    give = () => reject(signal.reason);
  });
  if (signal.aborted) give();
  signal.addEventListener('abort', give, { once: true });
  try {
    return await Promise.race([promise, givenUp]);
  } finally {
    signal.removeEventListener('abort', give);
    promise.catch(() => undefined);
  }
}

/** The body of an answer, until the signal is aborted: then it is an error like any other cut. */
export async function* bodyUntil(
  body: ReadableStream<Uint8Array> | null,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  if (body === null) return;
  const reader = body.getReader();
  const cancel = (): void => void reader.cancel().catch(() => undefined);
  signal.addEventListener('abort', cancel, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      const { done, value } = await reader.read();
      // Cancelled, it ends as if it were whole.
      signal.throwIfAborted();
      if (done) return;
      yield value;
    }
  } finally {
    signal.removeEventListener('abort', cancel);
    // Of what is not read to its end, the connection is not kept either.
    cancel();
  }
}
