/**
 * Rollouts as all servers of one store share them: events go through the state machine and into the store with
 * compare-and-set, so that it makes no difference which process does it, or how often one dies.
 *
 * What a state asks for (a timer, an alert that nobody was told of) and what it has not been told yet (a verdict, the owner's
 * release that goes back, another roster) is found by looking, not remembered: whoever reads the record next does the same.
 */
import { RefusedError } from '../../errors.js';
import type { ReleaseReference } from '../../package/release-reference.js';
import type { RolloutEvent } from '../../rollout/events.js';
import type { RolloutState } from '../../rollout/state.js';
import { outstandingEffects } from '../../rollout/status.js';
import type { Store } from '../../store/store.js';
import { keyName, keySegment, PAST_ROLLOUT_PREFIX, ROLLOUT_PREFIX } from '../state/keys.js';
import type { StoredAlert } from './alerts.js';
import {
  type ChangedRollouts,
  decodePolicyRollouts,
  decodeRolloutState,
  encodePolicyRollouts,
  encodeRolloutState,
  newPolicyRollouts,
  type PolicyRollouts,
  requireLatest,
  type StartRequest,
  unannounced,
  withAnnounced,
  withEvent,
  withStart,
} from './policy-rollouts.js';

export interface RolloutServiceOptions {
  readonly store: Store;
  /** What the store holds that a policy's newest rollout was not told of. */
  readonly impliedEvents: (state: RolloutState, atMs: number) => Promise<readonly RolloutEvent[]>;
  /** Told when a policy's newest rollout has changed, by the process that stored it. */
  readonly onChange?: (before: RolloutState | undefined, after: RolloutState) => void;
  /** Takes each alert once at least. */
  readonly onAlert: (policy: string, alert: StoredAlert) => void;
  /** Takes what goes wrong in the background. */
  readonly onError: (error: unknown) => void;
  readonly now?: () => number;
}

type Change = (record: PolicyRollouts) => ChangedRollouts;

interface Pending {
  readonly change: Change;
  resolve(record: PolicyRollouts): void;
  reject(error: unknown): void;
}

interface Cached {
  readonly revision: number;
  readonly record: PolicyRollouts;
}

/** Longer timers than this overflow in Node; a shorter one only looks again. */
const MAX_TIMER_MS = 60_000;
/** After a store that could not be reached. */
const RETRY_TIMER_MS = 1_000;

export class RolloutService {
  readonly #options: RolloutServiceOptions;
  readonly #now: () => number;
  readonly #waiting = new Map<string, Pending[]>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #cached = new Map<string, Cached>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #closed = false;

  constructor(options: RolloutServiceOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * Goes on with every rollout: timers that ran out meanwhile count now. Call it again and again: the process that waited for
   * one may be another, and dead.
   */
  async resume(): Promise<void> {
    for (const policy of await this.policies()) {
      try {
        await this.catchUp(policy);
        const record = await this.read(policy);
        if (record !== undefined && !this.#timers.has(policy)) this.#follow(policy, record);
      } catch (error) {
        // What is wrong with one policy's rollouts holds up no other's.
        this.#options.onError(error);
      }
    }
  }

  /** Every policy that has a history. */
  async policies(): Promise<string[]> {
    const policies: string[] = [];
    for await (const { key } of this.#options.store.state.list(ROLLOUT_PREFIX)) {
      policies.push(keyName(key.slice(ROLLOUT_PREFIX.length + 1)));
    }
    return policies;
  }

  /** @throws FormatError `rollout.bad-*`: then nobody may be served a release */
  async read(policy: string): Promise<PolicyRollouts | undefined> {
    return (await this.#load(policy))?.record;
  }

  /** Begins the history of a policy, if it has none. @param current what its fleet runs already */
  async begin(policy: string, current: ReleaseReference): Promise<void> {
    const record = encodePolicyRollouts(newPolicyRollouts(policy, current));
    await this.#options.store.state.create(keyOf(policy), record);
  }

  /** @throws RefusedError `rollout.no-release`; as `withStart` does */
  async start(policy: string, request: StartRequest): Promise<PolicyRollouts> {
    const started = await this.#change(policy, (record) => withStart(record, request));
    await this.catchUp(policy);
    return (await this.read(policy)) ?? started;
  }

  /**
   * Sends an event to the rollout of a release, which must be the policy's newest.
   *
   * @returns the record after it, on the disk
   * @throws RefusedError what the machine refuses it with; `rollout.unknown`
   */
  command(policy: string, counter: number, event: RolloutEvent): Promise<PolicyRollouts> {
    return this.#change(policy, (record) => {
      requireLatest(record, counter);
      return { record: withEvent(record, event) };
    });
  }

  /** Sends an event to the policy's newest rollout. @throws RefusedError what the machine refuses it with */
  async send(policy: string, event: RolloutEvent): Promise<void> {
    await this.#change(policy, (record) => ({ record: withEvent(record, event) }));
  }

  /** Tells the newest rollout what the store holds that it was not told of: a verdict, a release that goes back, a roster. */
  async catchUp(policy: string): Promise<void> {
    const latest = (await this.read(policy))?.latest;
    if (latest === undefined) return;
    for (const event of await this.#options.impliedEvents(latest, this.#now())) {
      await this.send(policy, event).catch((error: unknown) => {
        // It was told meanwhile, or will not take this one: a release of the owner's that does not go back far enough.
        if (!(error instanceof RefusedError)) throw error;
      });
    }
  }

  /** Every rollout of a policy, the newest first. */
  async list(policy: string): Promise<RolloutState[]> {
    const latest = (await this.read(policy))?.latest;
    const states = new Map<number, RolloutState>();
    for await (const { key } of this.#options.store.state.list(pastKey(policy))) {
      const stored = await this.#options.store.state.get(key);
      if (stored === undefined) continue;
      const state = decodeRolloutState(stored.value);
      states.set(state.plan.release.counter, state);
    }
    // What is kept of it among the past ones is from before a start that was not stored.
    if (latest !== undefined) states.set(latest.plan.release.counter, latest);
    return [...states.values()].sort((a, b) => b.plan.release.counter - a.plan.release.counter);
  }

  /** Stops timers, and waits for what is on its way. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    await Promise.all(this.#running.values());
  }

  #change(policy: string, change: Change): Promise<PolicyRollouts> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(policy) ?? [];
      waiting.push({ change, resolve, reject });
      this.#waiting.set(policy, waiting);
      if (!this.#running.has(policy)) this.#running.set(policy, this.#drain(policy));
    });
  }

  async #drain(policy: string): Promise<void> {
    for (let batch = this.#take(policy); batch.length > 0; batch = this.#take(policy)) {
      try {
        await this.#process(policy, batch);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    // At once with the last look: a change that comes after it must find that nobody is running.
    this.#running.delete(policy);
  }

  #take(policy: string): Pending[] {
    const batch = this.#waiting.get(policy) ?? [];
    this.#waiting.delete(policy);
    return batch;
  }

  /** Changes that came at once are stored together: a fleet's reports cost one write. */
  async #process(policy: string, batch: readonly Pending[]): Promise<void> {
    for (;;) {
      const loaded = await this.#load(policy);
      if (loaded === undefined) throw noRelease(policy);
      let { record } = loaded;
      const refusals = new Map<Pending, unknown>();
      for (const pending of batch) {
        try {
          const changed = pending.change(record);
          if (changed.past !== undefined) await this.#keepPast(policy, changed.past);
          record = changed.record;
        } catch (error) {
          refusals.set(pending, error);
        }
      }
      if (record !== loaded.record && !(await this.#store(policy, record, loaded.revision))) continue;
      for (const pending of batch) {
        if (refusals.has(pending)) pending.reject(refusals.get(pending));
        else pending.resolve(record);
      }
      if (record === loaded.record) return;
      const { latest } = record;
      if (latest !== undefined) this.#options.onChange?.(loaded.record.latest, latest);
      this.#follow(policy, record);
      return;
    }
  }

  /** Before the record that no longer has it; where that is not stored after all, the record's own counts. */
  async #keepPast(policy: string, state: RolloutState): Promise<void> {
    const key = `${pastKey(policy)}.${state.plan.release.counter}`;
    const { state: store } = this.#options.store;
    const bytes = encodeRolloutState(state);
    for (;;) {
      const before = await store.get(key);
      const kept =
        before === undefined
          ? await store.create(key, bytes)
          : await store.update(key, bytes, before.revision);
      if (kept !== undefined) return;
    }
  }

  async #load(policy: string): Promise<Cached | undefined> {
    const stored = await this.#options.store.state.get(keyOf(policy));
    if (stored === undefined) return undefined;
    const cached = this.#cached.get(policy);
    if (cached?.revision === stored.revision) return cached;
    const loaded = { revision: stored.revision, record: decodePolicyRollouts(stored.value) };
    this.#cached.set(policy, loaded);
    return loaded;
  }

  async #store(policy: string, record: PolicyRollouts, revision: number): Promise<boolean> {
    const { state } = this.#options.store;
    const next = await state.update(keyOf(policy), encodePolicyRollouts(record), revision);
    if (next === undefined) return false;
    this.#cached.set(policy, { revision: next, record });
    return true;
  }

  /** Does what a record asks for. All of it bears repetition: whoever loads the record next does it again. */
  #follow(policy: string, record: PolicyRollouts): void {
    clearTimeout(this.#timers.get(policy));
    this.#timers.delete(policy);
    // Offers are made by serving them, and the owner asks for its work: only time has to be waited for.
    for (const effect of record.latest === undefined ? [] : outstandingEffects(record.latest)) {
      if (effect.type === 'set-timer') this.#setTimer(policy, effect.atMs);
    }
    this.#announce(policy, record);
  }

  #announce(policy: string, record: PolicyRollouts): void {
    const { onAlert, onError } = this.#options;
    const alerts = unannounced(record);
    const last = alerts.at(-1)?.number;
    if (last === undefined) return;
    for (const alert of alerts) onAlert(policy, alert);
    // Where this is not stored, they are told once more.
    if (!this.#closed) this.#change(policy, (now) => ({ record: withAnnounced(now, last) })).catch(onError);
  }

  #setTimer(policy: string, atMs: number): void {
    if (this.#closed) return;
    const inMs = Math.min(Math.max(atMs - this.#now(), 0) + 1, MAX_TIMER_MS);
    const timer = setTimeout(() => {
      this.#timers.delete(policy);
      this.#tick(policy).catch((error: unknown) => {
        this.#options.onError(error);
        // The timer still holds.
        if (!this.#timers.has(policy)) this.#setTimer(policy, this.#now() + RETRY_TIMER_MS);
      });
    }, inMs);
    timer.unref();
    this.#timers.set(policy, timer);
  }

  async #tick(policy: string): Promise<void> {
    await this.send(policy, { type: 'time', atMs: this.#now() });
    const record = await this.read(policy);
    if (record !== undefined && !this.#timers.has(policy)) this.#follow(policy, record);
  }
}

function keyOf(policy: string): string {
  return `${ROLLOUT_PREFIX}.${keySegment(policy)}`;
}

function pastKey(policy: string): string {
  return `${PAST_ROLLOUT_PREFIX}.${keySegment(policy)}`;
}

function noRelease(policy: string): RefusedError {
  return new RefusedError(
    'rollout.no-release',
    `Policy "${policy}" has no release here yet. Publish one: the first goes to the whole fleet, and is what later ones go back to.`,
  );
}
