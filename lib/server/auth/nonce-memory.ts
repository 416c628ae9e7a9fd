/**
 * Nonces of the requests that were accepted, for as long as their signatures would be.
 *
 * In this process's memory: a request can be replayed to another process, or to this one after a restart, within its window.
 * Every change is idempotent, so such a replay changes nothing; what is remembered here spares its work.
 */
import { RefusedError } from '../../errors.js';
import { RetryLaterError } from '../problems/retry-later.js';

export interface NonceLimits {
  /** About 150 bytes each. */
  readonly maxNonces: number;
  /** So that one member cannot fill the memory of all. */
  readonly maxNoncesPerKey: number;
}

export const DEFAULT_NONCE_LIMITS: NonceLimits = { maxNonces: 262_144, maxNoncesPerKey: 8192 };

type Generation = Map<string, Set<string>>;

export class NonceMemory {
  #current: Generation = new Map();
  #previous: Generation = new Map();
  #currentCount = 0;
  #previousCount = 0;
  #rotateAtMs = 0;

  /** @param lifetimeMs the longest time for which a signature is accepted; a nonce is kept once to twice as long */
  constructor(
    private readonly lifetimeMs: number,
    private readonly limits: NonceLimits = DEFAULT_NONCE_LIMITS,
  ) {}

  /**
   * Call it once the signature holds: who holds no key must not fill the memory.
   *
   * Full, it refuses instead of forgetting: to forget a nonce is to allow its replay.
   *
   * @throws RefusedError `auth.replayed`
   * @throws RetryLaterError `auth.too-many-requests` (this key), `server.overloaded` (all keys together)
   */
  remember(keyId: string, nonce: string, nowMs: number): void {
    this.#rotate(nowMs);
    if (this.#current.get(keyId)?.has(nonce) || this.#previous.get(keyId)?.has(nonce)) {
      throw new RefusedError('auth.replayed', 'This request was sent before. Sign each request anew.');
    }
    const ofKey = (this.#current.get(keyId)?.size ?? 0) + (this.#previous.get(keyId)?.size ?? 0);
    const retryAfterMs = Math.max(this.#rotateAtMs - nowMs, 1000);
    if (ofKey >= this.limits.maxNoncesPerKey) {
      throw new RetryLaterError('auth.too-many-requests', 'This key signs too many requests.', retryAfterMs);
    }
    if (this.#currentCount + this.#previousCount >= this.limits.maxNonces) {
      throw new RetryLaterError('server.overloaded', 'The server has too many requests to do.', retryAfterMs);
    }
    const nonces = this.#current.get(keyId) ?? new Set();
    nonces.add(nonce);
    this.#current.set(keyId, nonces);
    this.#currentCount += 1;
  }

  #rotate(nowMs: number): void {
    if (nowMs < this.#rotateAtMs) return;
    // After a pause of two lifetimes the current ones are stale as well.
    const stale = nowMs >= this.#rotateAtMs + this.lifetimeMs;
    this.#previous = stale ? new Map() : this.#current;
    this.#previousCount = stale ? 0 : this.#currentCount;
    this.#current = new Map();
    this.#currentCount = 0;
    this.#rotateAtMs = (stale ? nowMs : this.#rotateAtMs) + this.lifetimeMs;
  }
}
