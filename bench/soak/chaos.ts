/** When servers die in a round: at moments that the seed decides. */
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeRoundState, type RoundState } from '../../lib/round/machine/state.js';
import { keyOf } from '../../lib/server/rounds/stored-round.js';
import { openStore } from '../../lib/store/open-store.js';
import type { SoakOptions } from './options.js';
import type { SeededRandom } from './random.js';
import type { Servers } from './servers.js';

/** Long enough for a sum to begin after its round is sealed off, and for the next attempt after a kill. */
const CLAIM_TIMEOUT_MS = 30_000;
const LOOK_MS = 3;

interface Moment {
  /** Updates that are acknowledged by then. */
  readonly after: number;
  readonly act: () => Promise<void>;
}

/** Kills at numbers of acknowledged updates, one after the other. */
export class ReceivingChaos {
  readonly #moments: Moment[];
  #running: Promise<void> = Promise.resolve();
  #acknowledged = 0;

  constructor(servers: Servers, options: SoakOptions, expected: number, random: SeededRandom) {
    const moment = (): number => 1 + random.below(Math.max(1, Math.floor(expected * 0.95)));
    this.#moments = Array.from({ length: options.killsReceiving }, () => {
      const index = random.below(servers.processes.length);
      return { after: moment(), act: () => servers.kill(index, 'receiving') };
    });
    if (options.restartNats)
      this.#moments.push({ after: moment(), act: () => servers.killNats('receiving') });
    this.#moments.sort((a, b) => a.after - b.after);
  }

  acknowledged(): void {
    this.#acknowledged += 1;
    while (this.#moments[0] !== undefined && this.#moments[0].after <= this.#acknowledged) {
      const { act } = this.#moments.shift() as Moment;
      this.#running = this.#running.then(act);
    }
  }

  /** After all kills that have begun. */
  settled(): Promise<void> {
    return this.#running;
  }
}

export interface SumKill {
  /** Whether the dead server's attempt came to nothing: there is no aggregate, or another worker's. */
  readonly inMidSum: boolean;
}

/**
 * Waits until a server has begun to sum, and kills that one.
 *
 * @param withinMs of the sum's beginning
 * @returns undefined where the sum was over before anybody could look
 */
export async function killInSum(
  servers: Servers,
  plan: string,
  withinMs: number,
  random: SeededRandom,
): Promise<SumKill | undefined> {
  const store = await openStore(servers.store);
  const look = async (): Promise<RoundState | undefined> => {
    const stored = await store.state.get(keyOf('round', plan)).catch(() => undefined);
    return stored && decodeRoundState(stored.value);
  };
  try {
    for (const end = Date.now() + CLAIM_TIMEOUT_MS; Date.now() < end; await sleep(LOOK_MS)) {
      const state = await look();
      if (state === undefined) continue;
      if (state.aggregate !== undefined || state.phase === 'failed') return undefined;
      const worker = state.sum?.worker;
      if (worker === undefined) continue;
      // The worker's name begins with its process.
      const index = servers.processes.findIndex(({ pid }) => worker.startsWith(`w-${pid}-`));
      await sleep(random.below(Math.max(1, Math.floor(withinMs))));
      await servers.kill(index, 'summing');
      const after = await look();
      return { inMidSum: after !== undefined && after.aggregate?.worker !== worker };
    }
    return undefined;
  } finally {
    await store.close();
  }
}
