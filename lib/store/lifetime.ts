/**
 * Waiting that ends with the caller's signal, with the store, or after a while, whichever is first. Without
 * `AbortSignal.any`, whose results a signal that lives as long as the store would collect.
 */

export type Ends = readonly AbortSignal[];

/** The signals that end a wait: the store's, and the caller's if there is one. */
export function endsOf(store: AbortSignal, caller: AbortSignal | undefined): Ends {
  return caller === undefined ? [store] : [store, caller];
}

export function hasEnded(ends: Ends): boolean {
  return ends.some((signal) => signal.aborted);
}

/** Resolves after `timeoutMs` or when one of `ends` aborts; never rejects. */
export function pause(timeoutMs: number, ends: Ends): Promise<void> {
  return new Promise((resolve) => {
    if (hasEnded(ends)) return resolve();
    const end = (): void => {
      clearTimeout(timer);
      for (const signal of ends) signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, timeoutMs);
    for (const signal of ends) signal.addEventListener('abort', end);
  });
}
