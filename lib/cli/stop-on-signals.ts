/** Ends the process when it is asked to, after what was begun. */
export function stopOnSignals(stop: () => Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        stop().finally(() => resolve());
      });
    }
  });
}
