/** How many live event streams there are, of everybody and of each caller: each holds a connection and a reading of the store. */
import type { Actor } from '../auth/actor.js';
import { RetryLaterError } from '../problems/retry-later.js';
import type { ServerLimits } from './limits.js';

/** Streams end after a quarter of an hour at most; sooner is likely. */
const RETRY_AFTER_MS = 30_000;

export class EventStreams {
  readonly #open = new Map<string, number>();
  #total = 0;

  constructor(private readonly limits: Pick<ServerLimits, 'maxEventStreamsPerActor' | 'maxEventStreams'>) {}

  /**
   * Counts one more stream.
   *
   * @returns ends it, once
   * @throws RetryLaterError `request.too-many-streams`, `server.overloaded`
   */
  open({ kind, role, id }: Actor): () => void {
    const caller = `${kind} ${role} ${id}`;
    const { maxEventStreams, maxEventStreamsPerActor } = this.limits;
    const own = this.#open.get(caller) ?? 0;
    if (own >= maxEventStreamsPerActor) {
      throw new RetryLaterError(
        'request.too-many-streams',
        `The caller listens ${own} times already, which is all that it may. Close a stream.`,
        RETRY_AFTER_MS,
      );
    }
    if (this.#total >= maxEventStreams) {
      throw new RetryLaterError('server.overloaded', 'The server has too many listeners.', RETRY_AFTER_MS);
    }
    this.#open.set(caller, own + 1);
    this.#total += 1;
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#total -= 1;
      const left = (this.#open.get(caller) ?? 1) - 1;
      if (left === 0) this.#open.delete(caller);
      else this.#open.set(caller, left);
    };
  }
}
