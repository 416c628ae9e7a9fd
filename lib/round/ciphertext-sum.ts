/** The running sum of ciphertexts: memory for a few updates, however many there are. */

import type { PlanArithmetic } from '../lwe/plan.js';
import { addCiphertexts } from '../lwe/sum.js';

/** Summed at once with the sum itself: eight streams are what the kernel takes. */
const BATCH = 7;
/** Ciphertexts that wait to be summed take no more than this, or one of them. */
const WAITING_BYTES = 64 * 1024 * 1024;

export class CiphertextSum {
  readonly #plan: PlanArithmetic;
  readonly #sum: Uint8Array;
  readonly #slots: Uint8Array[] = [];
  readonly #batch: number;
  #waiting = 0;
  #started = false;

  constructor(plan: PlanArithmetic) {
    this.#plan = plan;
    this.#sum = new Uint8Array(plan.ciphertextBytes);
    this.#batch = Math.max(1, Math.min(BATCH, Math.floor(WAITING_BYTES / plan.ciphertextBytes)));
  }

  /** Memory to read the next ciphertext into; it counts once {@link accept} is called. */
  slot(): Uint8Array {
    const slot = this.#slots[this.#waiting] ?? new Uint8Array(this.#plan.ciphertextBytes);
    this.#slots[this.#waiting] = slot;
    return slot;
  }

  /** Takes what was read into the slot into the sum. */
  async accept(): Promise<void> {
    this.#waiting += 1;
    if (this.#waiting === this.#batch) await this.#flush();
  }

  /** The sum of all that was accepted. */
  async finish(): Promise<Uint8Array> {
    await this.#flush();
    return this.#sum;
  }

  async #flush(): Promise<void> {
    if (this.#waiting === 0) return;
    const waiting = this.#slots.slice(0, this.#waiting);
    await addCiphertexts(this.#plan, this.#started ? [this.#sum, ...waiting] : waiting, this.#sum);
    this.#started = true;
    this.#waiting = 0;
  }
}
