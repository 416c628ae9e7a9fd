/** A seeded generator for simulations (Marsaglia's xorshift32 under a Weyl sequence): statistics, not secrets. */
export class SeededRandom {
  private state: number;
  private weyl = 0;

  constructor(seed: number) {
    this.state = seed | 1;
    for (let i = 0; i < 16; i += 1) this.word();
  }

  /** 32 bits. */
  word(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    this.weyl = (this.weyl + 362_437) | 0;
    return (x + this.weyl) >>> 0;
  }

  /** In [0, 1). */
  unit(): number {
    return (this.word() * 2 ** 21 + (this.word() >>> 11)) / 2 ** 53;
  }

  /** In [0, 2^63). */
  bits63(): bigint {
    return (BigInt(this.word()) << 31n) | BigInt(this.word() >>> 1);
  }

  bit(): boolean {
    return this.word() >>> 31 === 1;
  }
}
