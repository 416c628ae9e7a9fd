/**
 * The loop of every agent: look what there is to do, do it, wait. Whatever fails is logged and tried again later; days
 * without a network, or a full disk, end it as little as a refusal does.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type AgentLog, errorFields } from './agent-log.js';
import { isConnectionFailure } from './failures.js';

export interface AgentLoopOptions {
  /** One look at everything. It must bear being cut off anywhere, and being repeated. */
  readonly step: () => Promise<void>;
  readonly log: AgentLog;
  /** Once aborted, no further step begins. */
  readonly stopping: AbortSignal;
  readonly pollMs?: number;
  /** The longest wait after failures. */
  readonly maxDelayMs?: number;
  /** A fleet that hears of one event must not ask at one moment. */
  readonly wakeSpreadMs?: number;
  /** Resolves after `ms`, or once the signal is aborted. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** In [0, 1). */
  readonly random?: () => number;
}

const DEFAULT_POLL_MS = 30_000;
const DEFAULT_MAX_DELAY_MS = 300_000;
const DEFAULT_WAKE_SPREAD_MS = 3_000;

export class AgentLoop {
  #woken = false;
  #waiting: AbortController | undefined;

  constructor(private readonly options: AgentLoopOptions) {}

  /** Looks again soon, rather than at the next poll. */
  wake(): void {
    this.#woken = true;
    this.#waiting?.abort();
  }

  /** Runs until it is stopped; the step in progress is finished. */
  async run(): Promise<void> {
    const { stopping } = this.options;
    let failures = 0;
    while (!stopping.aborted) {
      this.#woken = false;
      failures = (await this.#attempt()) ? 0 : failures + 1;
      if (!stopping.aborted) await this.#wait(failures);
    }
  }

  async #attempt(): Promise<boolean> {
    const { step, log, stopping } = this.options;
    try {
      await step();
      return true;
    } catch (error) {
      if (stopping.aborted && isConnectionFailure(error)) return false;
      log.write(isConnectionFailure(error) ? 'warn' : 'error', 'agent.step-failed', errorFields(error));
      return false;
    }
  }

  async #wait(failures: number): Promise<void> {
    const { stopping, wakeSpreadMs = DEFAULT_WAKE_SPREAD_MS, sleep = sleepUntil } = this.options;
    const random = this.options.random ?? Math.random;
    if (!this.#woken) {
      const waiting = new AbortController();
      const stop = (): void => waiting.abort();
      stopping.addEventListener('abort', stop, { once: true });
      this.#waiting = waiting;
      try {
        await sleep(this.#waitMs(failures, random()), waiting.signal);
      } finally {
        this.#waiting = undefined;
        stopping.removeEventListener('abort', stop);
      }
    }
    if (this.#woken && !stopping.aborted) await sleep(wakeSpreadMs * random(), stopping);
  }

  #waitMs(failures: number, random: number): number {
    const { pollMs = DEFAULT_POLL_MS, maxDelayMs = DEFAULT_MAX_DELAY_MS } = this.options;
    const ceilingMs = Math.max(pollMs, Math.min(maxDelayMs, pollMs * 2 ** Math.min(failures, 30)));
    return ceilingMs * (0.5 + random / 2);
  }
}

export async function sleepUntil(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => undefined);
}
