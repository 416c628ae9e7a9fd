/** Closing without cutting off what was begun. */
import type { App } from './app-type.js';

export const DEFAULT_SHUTDOWN_MS = 20_000;

/**
 * Stops accepting, lets what is in flight finish, and cuts off what has not finished after `limitMs`. What was acknowledged is on
 * the disk by then either way.
 *
 * @returns whether everything finished by itself
 */
export async function shutDown(app: App, limitMs = DEFAULT_SHUTDOWN_MS): Promise<boolean> {
  let finished = true;
  const timer = setTimeout(() => {
    finished = false;
    app.server.closeAllConnections();
  }, limitMs);
  try {
    await app.close();
  } finally {
    clearTimeout(timer);
  }
  return finished;
}
