/** How long to wait before the next attempt. */
export interface BackoffOptions {
  readonly maxAttempts: number;
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** A server may ask for more patience than that, up to this. */
  readonly maxRetryAfterMs: number;
}

export const DEFAULT_BACKOFF: BackoffOptions = {
  maxAttempts: 6,
  firstDelayMs: 500,
  maxDelayMs: 30_000,
  maxRetryAfterMs: 300_000,
};

/**
 * Full jitter: a fleet that lost the server at one moment must not come back at one moment.
 *
 * @param attempt from 1, the one that failed
 * @param random in [0, 1)
 */
export function delayMs(
  options: BackoffOptions,
  attempt: number,
  retryAfterMs: number | undefined,
  random: number,
): number {
  const ceiling = Math.min(options.maxDelayMs, options.firstDelayMs * 2 ** (attempt - 1));
  const jittered = random * ceiling;
  // After what the server asks for, not at it.
  return retryAfterMs === undefined ? jittered : Math.min(retryAfterMs, options.maxRetryAfterMs) + jittered;
}

/** `Retry-After` in seconds or as a date (RFC 9110 section 10.2.3); undefined where there is none that makes sense. */
export function parseRetryAfter(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const dateMs = Date.parse(header);
  return Number.isNaN(dateMs) ? undefined : Math.max(dateMs - nowMs, 0);
}
