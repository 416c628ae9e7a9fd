/** Seeded random numbers: the same seed gives the same run. For simulation only, never for keys. */

/** 2^32 over the golden ratio, as splitmix uses it. */
const WEYL = 0x9e37_79b9;

/** A 32-bit hash of numbers and names, for streams that have nothing in common. */
export function seedOf(...parts: readonly (number | string)[]): number {
  let hash = 0x811c_9dc5;
  for (const character of parts.join('/')) {
    hash = Math.imul(hash ^ (character.codePointAt(0) as number), 0x0100_0193);
  }
  return mix(hash);
}

/** The finalizer of MurmurHash3: every bit of the input changes half of the output's. */
function mix(word: number): number {
  let mixed = word ^ (word >>> 16);
  mixed = Math.imul(mixed, 0x85eb_ca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = mix(seed ^ WEYL);
  }

  /** Uniform in [0, 1). */
  next(): number {
    this.state = (this.state + WEYL) | 0;
    return mix(this.state) / 2 ** 32;
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** Uniform in 0 .. count - 1. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  /** Normal with mean 0, by Box and Muller's transform. */
  normal(standardDeviation = 1): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    return radius * Math.cos(2 * Math.PI * this.next()) * standardDeviation;
  }
}
