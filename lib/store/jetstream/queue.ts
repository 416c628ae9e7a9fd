/**
 * Tasks in a JetStream work-queue stream, one message a task, under one consumer a queue. The lease is the consumer's
 * acknowledgement wait, kept by the server's clock; what is acknowledged leaves the stream.
 */
import { type Ends, endsOf, hasEnded, pause } from '../lifetime.js';
import { requireKey, requireLease, requireQueueName, requireValueSize } from '../limits.js';
import type { TakeOptions, Task, WorkQueue } from '../store.js';
import type { JetStreamConnection } from './connection.js';
import { type Delivery, pullOne } from './deliveries.js';
import { writeMessage } from './messages.js';
import type { StreamNames } from './streams.js';

/** How long the server looks for a task before it says that there is none. */
const MAX_PULL_MS = 1_000;
/** Longer than a pull takes with or without an answer. */
const MAX_ANSWER_MS = 10_000;
const RETRY_PAUSE_MS = 200;
const COUNTED_LEASE = 0.9;
/** Tasks that are worked on at once. */
const MAX_LEASED = 10_000;
const NANOSECONDS_PER_MS = 1_000_000;

const DONE = '+ACK';
const RELEASE = '-NAK';
const EXTEND = '+WPI';

/** Nothing is known of the pull: its consumer, its server or the connection is gone. */
class Lost {
  constructor(readonly reason: unknown) {}
}

export class JetStreamQueue implements WorkQueue {
  /** Of the queues whose consumers are there. */
  private readonly leases = new Map<string, number>();
  private readonly held = new Set<LeasedTask>();

  constructor(
    private readonly connection: JetStreamConnection,
    private readonly names: StreamNames,
    private readonly closed: AbortSignal,
  ) {}

  async push(queue: string, id: string, payload: Uint8Array): Promise<boolean> {
    requireQueueName(queue);
    requireKey(id);
    requireValueSize(payload);
    const location = { stream: this.names.work, subject: `${this.names.workSubjects}.${queue}.${id}` };
    return (await writeMessage(this.connection, 'queue a task', location, payload)) !== undefined;
  }

  async take(queue: string, options: TakeOptions): Promise<Task | undefined> {
    requireQueueName(queue);
    const leaseMs = requireLease(options.leaseMs);
    const ends = endsOf(this.closed, options.signal);
    while (!hasEnded(ends)) {
      if (!(await this.prepare(queue, leaseMs, ends))) continue;
      const askedAtMs = performance.now();
      const delivery = await this.pull(queue, ends);
      if (delivery === undefined) continue;
      const id = delivery.message.subject.slice(this.names.workSubjects.length + queue.length + 2);
      const task = new LeasedTask(this.connection, this.held, delivery, id, leaseMs, askedAtMs);
      this.held.add(task);
      return task;
    }
    return undefined;
  }

  /** Tells the server, without waiting for an answer, that nobody works on what this store holds. */
  releaseHeld(): void {
    for (const task of this.held) task.abandon();
  }

  /** False where the store was closed meanwhile. */
  private async prepare(queue: string, leaseMs: number, ends: Ends): Promise<boolean> {
    if (this.leases.get(queue) === leaseMs) return true;
    try {
      await this.connection.persist('open a queue', () => this.setUp(queue, leaseMs));
    } catch (error) {
      // Closing the connection ends what was under way with an error.
      if (hasEnded(ends)) return false;
      throw error;
    }
    this.leases.set(queue, leaseMs);
    return true;
  }

  private async setUp(queue: string, leaseMs: number): Promise<void> {
    const { consumers } = this.connection.manager;
    const settings = { ack_wait: leaseMs * NANOSECONDS_PER_MS, max_ack_pending: MAX_LEASED };
    const found = await consumers.info(this.names.work, queue).catch((error: unknown) => {
      if (error instanceof Error && error.name === 'ConsumerNotFoundError') return undefined;
      throw error;
    });
    if (found === undefined) {
      await consumers.add(this.names.work, {
        ...settings,
        durable_name: queue,
        filter_subject: `${this.names.workSubjects}.${queue}.>`,
        ack_policy: 'explicit',
        deliver_policy: 'all',
        max_deliver: -1,
      });
    } else if (found.config.ack_wait !== settings.ack_wait) {
      await consumers.update(this.names.work, queue, settings);
    }
  }

  /** One task, if one comes within a second. Of an outage of the pull it only learns that none came. */
  private async pull(queue: string, ends: Ends): Promise<Delivery | undefined> {
    const answered = new AbortController();
    const answer = pullOne(this.connection, { stream: this.names.work, consumer: queue })
      .catch((error: unknown) => new Lost(error))
      .finally(() => answered.abort());
    await pause(MAX_ANSWER_MS, [answered.signal, ...ends]);
    if (hasEnded(ends)) {
      // One may be on its way here, and would wait for the end of a lease that nobody uses.
      void answer.then((late) => {
        if (late !== undefined && !(late instanceof Lost)) late.message.respond(RELEASE);
      });
      return undefined;
    }
    const delivery = await answer;
    if (!(delivery instanceof Lost)) return delivery;
    await this.forget(queue, ends);
    return undefined;
  }

  /** The consumer may be gone with the server that knew it: look at it again. */
  private async forget(queue: string, ends: Ends): Promise<void> {
    this.leases.delete(queue);
    await pause(RETRY_PAUSE_MS, ends);
  }
}

class LeasedTask implements Task {
  readonly payload: Uint8Array;
  readonly attempt: number;
  private leaseEndsAtMs: number;

  /** @param askedAtMs when the server was asked for the task: the lease has not begun before */
  constructor(
    private readonly connection: JetStreamConnection,
    private readonly held: Set<LeasedTask>,
    private readonly delivery: Delivery,
    readonly id: string,
    private readonly leaseMs: number,
    askedAtMs: number,
  ) {
    this.payload = delivery.message.data;
    this.attempt = delivery.attempt;
    this.leaseEndsAtMs = this.leaseEnd(askedAtMs);
  }

  async extend(): Promise<boolean> {
    // The server would extend the lease of whoever has the task now.
    if (!this.held.has(this) || performance.now() >= this.leaseEndsAtMs) return false;
    const askedAtMs = performance.now();
    await this.tell('extend a lease', EXTEND);
    this.leaseEndsAtMs = this.leaseEnd(askedAtMs);
    return true;
  }

  async done(): Promise<void> {
    this.held.delete(this);
    await this.tell('finish a task', DONE);
  }

  async release(): Promise<void> {
    if (!this.held.delete(this) || performance.now() >= this.leaseEndsAtMs) return;
    await this.tell('release a task', RELEASE);
  }

  abandon(): void {
    this.held.delete(this);
    if (performance.now() < this.leaseEndsAtMs) this.delivery.message.respond(RELEASE);
  }

  /** Asks for a reply, which the server sends when it has done as told. */
  private async tell(what: string, instruction: string): Promise<void> {
    const timeout = this.connection.attemptTimeoutMs;
    await this.connection.persist(what, async () => {
      await this.connection.connection.request(this.delivery.message.reply ?? '', instruction, { timeout });
    });
  }

  /**
   * The server's clock keeps the lease, from when it sent the task; here a tenth less counts. A process that did not run
   * for a while finds the answer late: it had a pull's time at most.
   */
  private leaseEnd(askedAtMs: number): number {
    return Math.min(askedAtMs + MAX_PULL_MS, performance.now()) + this.leaseMs * COUNTED_LEASE;
  }
}
