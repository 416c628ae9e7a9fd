/** Tasks in SQLite. A lease ends by this machine's clock; one that is set forward costs work done twice, no more. */
import type { DurableDatabase } from '../../durable/durable-database.js';
import { endsOf, hasEnded, pause } from '../lifetime.js';
import { requireKey, requireLease, requireQueueName, requireValueSize } from '../limits.js';
import type { TakeOptions, Task, WorkQueue } from '../store.js';
import type { StateSettings } from './state.js';
import { taskRow } from './tables.js';
import { WakeUp } from './wake-up.js';

/** One delivery: a later one of the same task has another attempt. */
interface Delivery {
  readonly sequence: number;
  readonly attempt: number;
  readonly leaseMs: number;
}

export class EmbeddedQueue implements WorkQueue {
  private readonly arrivals = new WakeUp();
  private readonly held = new Set<Delivery>();

  constructor(
    private readonly database: DurableDatabase,
    private readonly settings: StateSettings,
  ) {}

  async push(queue: string, id: string, payload: Uint8Array): Promise<boolean> {
    requireQueueName(queue);
    requireKey(id);
    requireValueSize(payload);
    const added = this.database.runUnique(
      'INSERT INTO task (queue, id, payload, attempt, lease_ends_at_ms) VALUES (?, ?, ?, 0, 0)',
      [queue, id, payload],
    );
    if (added) this.arrivals.notify();
    return added;
  }

  async take(queue: string, options: TakeOptions): Promise<Task | undefined> {
    requireQueueName(queue);
    const leaseMs = requireLease(options.leaseMs);
    const ends = endsOf(this.settings.closed, options.signal);
    while (!hasEnded(ends)) {
      const arrived = this.arrivals.signal();
      const task = this.lease(queue, leaseMs);
      if (task !== undefined) return task;
      await pause(this.settings.pollMs, [arrived, ...ends]);
    }
    return undefined;
  }

  releaseHeld(): void {
    for (const delivery of this.held) this.release(delivery);
  }

  private lease(queue: string, leaseMs: number): Task | undefined {
    const nowMs = Date.now();
    // The look alone, which costs no write, is all that most polls do.
    if (this.available(queue, nowMs) === undefined) return undefined;
    const row = this.database.transaction(() => {
      const found = this.available(queue, nowMs);
      if (found === undefined) return undefined;
      const taken = { ...found, attempt: found.attempt + 1 };
      this.database.run('UPDATE task SET attempt = ?, lease_ends_at_ms = ? WHERE sequence = ?', [
        taken.attempt,
        nowMs + leaseMs,
        taken.sequence,
      ]);
      return taken;
    });
    if (row === undefined) return undefined;
    const delivery: Delivery = { sequence: row.sequence, attempt: row.attempt, leaseMs };
    this.held.add(delivery);
    return {
      id: row.id,
      payload: row.payload,
      attempt: row.attempt,
      extend: async () => this.extend(delivery),
      done: async () => this.finish(delivery),
      release: async () => this.release(delivery),
    };
  }

  private available(queue: string, nowMs: number) {
    return this.database.get(
      taskRow,
      `SELECT sequence, id, payload, attempt FROM task WHERE queue = ? AND lease_ends_at_ms <= ?
       ORDER BY sequence LIMIT 1`,
      [queue, nowMs],
    );
  }

  private extend({ sequence, attempt, leaseMs }: Delivery): boolean {
    const nowMs = Date.now();
    const changed = this.database.run(
      'UPDATE task SET lease_ends_at_ms = ? WHERE sequence = ? AND attempt = ? AND lease_ends_at_ms > ?',
      [nowMs + leaseMs, sequence, attempt, nowMs],
    );
    return changed === 1;
  }

  private finish(delivery: Delivery): void {
    this.held.delete(delivery);
    this.database.run('DELETE FROM task WHERE sequence = ?', [delivery.sequence]);
  }

  private release(delivery: Delivery): void {
    this.held.delete(delivery);
    const changed = this.database.run(
      'UPDATE task SET lease_ends_at_ms = 0 WHERE sequence = ? AND attempt = ? AND lease_ends_at_ms > 0',
      [delivery.sequence, delivery.attempt],
    );
    if (changed === 1) this.arrivals.notify();
  }
}
