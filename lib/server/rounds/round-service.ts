/**
 * Rounds as all servers of one store share them: events go through the state machine and into the store with
 * compare-and-set, so that it makes no difference which process does it, or how often one dies.
 *
 * What follows from a state (a set to be summed, a time to wake up at) is derived from the state, not remembered: whoever
 * reads it next does the same.
 */
import { RefusedError } from '../../errors.js';
import { outstandingEffects, type RoundEffect } from '../../round/machine/effects.js';
import type { RoundEvent } from '../../round/machine/events.js';
import { hasEnded } from '../../round/machine/phases.js';
import { decodeRoundState, encodeRoundState, type RoundState } from '../../round/machine/state.js';
import { stepRound, stepThrough } from '../../round/machine/step.js';
import type { Store } from '../../store/store.js';
import { keyOf } from './stored-round.js';

/** Of tasks `PLAN.ATTEMPT`: an id is not used again. */
export const SUM_QUEUE = 'sum';

export interface RoundServiceOptions {
  readonly store: Store;
  /** Does what a state asks for beside sums and timers; again and again, as long as the state asks for it. */
  readonly onEffect?: (plan: string, state: RoundState, effect: RoundEffect) => Promise<void>;
  /** After a change is stored, by the process that made it; `before` is absent of a new round. Must not throw. */
  readonly onChange?: (plan: string, before: RoundState | undefined, after: RoundState) => void;
  /** Takes what goes wrong in the background. */
  readonly onError: (error: unknown) => void;
  readonly now?: () => number;
}

interface Pending {
  readonly event: RoundEvent;
  resolve(state: RoundState): void;
  reject(error: unknown): void;
}

interface Cached {
  readonly revision: number;
  readonly state: RoundState;
}

/** Longer timers than this overflow in Node; a shorter one only looks again. */
const MAX_TIMER_MS = 60_000;
/** After a store that could not be reached. */
const RETRY_TIMER_MS = 1_000;

export class RoundService {
  readonly #options: RoundServiceOptions;
  readonly #now: () => number;
  readonly #waiting = new Map<string, Pending[]>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #cached = new Map<string, Cached>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  /** Revisions of rounds that have ended, and after which nothing is left to do: `resume` does not read them again. */
  readonly #ended = new Map<string, number>();
  #closed = false;

  constructor(options: RoundServiceOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * Goes on with every round that nobody here waits for: deadlines that passed meanwhile count now, and what an end asks for is
   * done.
   * Call it again and again: the process that waited for a deadline may be another one, and dead.
   */
  async resume(): Promise<void> {
    for await (const { key, revision } of this.#options.store.state.list(keyOf('round'))) {
      const plan = key.slice(keyOf('round').length + 1);
      if (this.#timers.has(plan) || this.#ended.get(plan) === revision) continue;
      const loaded = await this.load(plan);
      if (loaded === undefined) continue;
      // Of a round that has ended as well: the process that stored the end may have died before it did what follows from it.
      const isDone = this.#timers.has(plan) || (await this.#follow(plan, loaded.state));
      if (isDone && hasEnded(loaded.state.phase)) this.#ended.set(plan, loaded.revision);
    }
  }

  /** Keeps a new round. The same plan again changes nothing. @returns whether it was new */
  async create(plan: string, state: RoundState): Promise<boolean> {
    const revision = await this.#options.store.state.create(keyOf('round', plan), encodeRoundState(state));
    if (revision === undefined) return false;
    this.#options.onChange?.(plan, undefined, state);
    await this.#follow(plan, state);
    return true;
  }

  async read(plan: string): Promise<RoundState | undefined> {
    return (await this.load(plan))?.state;
  }

  /** @throws RefusedError `round.unknown` */
  async require(plan: string): Promise<RoundState> {
    const state = await this.read(plan);
    if (state === undefined) throw unknownRound(plan);
    return state;
  }

  /**
   * Whether the machine would take an event now; nothing changes. For what must be stored before the event is sent.
   *
   * @throws RefusedError what the machine refuses it with; `round.unknown`
   */
  async check(plan: string, event: RoundEvent): Promise<void> {
    const { refusal } = stepRound(await this.require(plan), event);
    if (refusal !== undefined) throw refusal;
  }

  /** Every round there is, in any order. */
  async *list(): AsyncGenerator<{ readonly plan: string; readonly state: RoundState }, void, void> {
    for await (const { key } of this.#options.store.state.list(keyOf('round'))) {
      const plan = key.slice(keyOf('round').length + 1);
      const state = await this.read(plan);
      if (state !== undefined) yield { plan, state };
    }
  }

  /**
   * Sends an event through the machine. Events of one round that come at once are stored together.
   *
   * @returns the state after it, on the disk
   * @throws RefusedError what the machine refuses it with; `round.unknown`
   */
  send(plan: string, event: RoundEvent): Promise<RoundState> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(plan) ?? [];
      waiting.push({ event, resolve, reject });
      this.#waiting.set(plan, waiting);
      if (!this.#running.has(plan)) this.#running.set(plan, this.#drain(plan));
    });
  }

  /** Stops timers, and waits for what is on its way. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    await Promise.all(this.#running.values());
  }

  async #drain(plan: string): Promise<void> {
    for (let batch = this.#take(plan); batch.length > 0; batch = this.#take(plan)) {
      try {
        await this.#process(plan, batch);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    // At once with the last look: an event that comes after it must find that nobody is running.
    this.#running.delete(plan);
  }

  #take(plan: string): Pending[] {
    const batch = this.#waiting.get(plan) ?? [];
    this.#waiting.delete(plan);
    return batch;
  }

  async #process(plan: string, batch: readonly Pending[]): Promise<void> {
    for (;;) {
      const loaded = await this.load(plan);
      if (loaded === undefined) throw unknownRound(plan);
      const { state, results } = stepThrough(
        loaded.state,
        batch.map(({ event }) => event),
      );
      if (state !== loaded.state && !(await this.#store(plan, state, loaded.revision))) continue;
      for (const [i, { refusal }] of results.entries()) {
        const pending = batch[i] as Pending;
        if (refusal === undefined) pending.resolve(state);
        else pending.reject(refusal);
      }
      if (state === loaded.state) return;
      this.#options.onChange?.(plan, loaded.state, state);
      await this.#follow(plan, state);
      return;
    }
  }

  /** A round with its revision, as it is stored now; undefined where there is none. */
  async load(plan: string): Promise<Cached | undefined> {
    const stored = await this.#options.store.state.get(keyOf('round', plan));
    if (stored === undefined) return undefined;
    const cached = this.#cached.get(plan);
    if (cached?.revision === stored.revision) return cached;
    const loaded = { revision: stored.revision, state: decodeRoundState(stored.value) };
    this.#remember(plan, loaded);
    return loaded;
  }

  async #store(plan: string, state: RoundState, revision: number): Promise<boolean> {
    const { store } = this.#options;
    const next = await store.state.update(keyOf('round', plan), encodeRoundState(state), revision);
    if (next === undefined) return false;
    this.#remember(plan, { revision: next, state });
    return true;
  }

  #remember(plan: string, cached: Cached): void {
    if (hasEnded(cached.state.phase)) this.#cached.delete(plan);
    else this.#cached.set(plan, cached);
  }

  /**
   * Does what a state asks for. All of it bears repetition: whoever loads the state next does it again.
   *
   * @returns whether all of it was done
   */
  async #follow(plan: string, state: RoundState): Promise<boolean> {
    const { store, onEffect, onError } = this.#options;
    clearTimeout(this.#timers.get(plan));
    this.#timers.delete(plan);
    let isDone = true;
    for (const effect of outstandingEffects(state)) {
      try {
        if (effect.type === 'set-timer') this.#setTimer(plan, effect.atMs);
        else if (effect.type === 'start-sum') {
          await store.queue.push(SUM_QUEUE, `${plan}.${effect.attempt}`, new Uint8Array());
        } else await onEffect?.(plan, state, effect);
      } catch (error) {
        // The change itself is stored.
        onError(error);
        isDone = false;
      }
    }
    return isDone;
  }

  #setTimer(plan: string, atMs: number): void {
    if (this.#closed) return;
    const inMs = Math.min(Math.max(atMs - this.#now(), 0) + 1, MAX_TIMER_MS);
    const timer = setTimeout(() => {
      this.#timers.delete(plan);
      this.send(plan, { type: 'time', atMs: this.#now() })
        .then((state) => {
          // Nothing was due yet: this timer was shortened.
          if (!this.#timers.has(plan)) return this.#follow(plan, state);
          return undefined;
        })
        .catch((error: unknown) => {
          this.#options.onError(error);
          // The deadline still holds.
          if (!this.#timers.has(plan)) this.#setTimer(plan, this.#now() + RETRY_TIMER_MS);
        });
    }, inMs);
    timer.unref();
    this.#timers.set(plan, timer);
  }
}

function unknownRound(plan: string): RefusedError {
  return new RefusedError('round.unknown', `There is no round with the plan ${plan} here.`);
}
