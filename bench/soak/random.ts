/** Numbers from a seed: the same soak again. None of them is a secret. */
import { createHash } from 'node:crypto';

export class SeededRandom {
  #state: number;

  constructor(...names: readonly (string | number)[]) {
    const digest = createHash('sha256').update(JSON.stringify(names)).digest();
    // Xorshift's one fixed point is zero.
    this.#state = digest.readUInt32LE(0) || 1;
  }

  /** Marsaglia's xorshift with 32 bits: 1 to 2^32 - 1. */
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state;
  }

  /** An integer from 0 to `below` - 1. */
  below(below: number): number {
    return this.next() % below;
  }

  shuffled<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let i = result.length - 1; i > 0; i -= 1) {
      const j = this.below(i + 1);
      [result[i], result[j]] = [result[j] as T, result[i] as T];
    }
    return result;
  }
}
