/** Pieces of given lengths off a stream of others. */
export class StreamPieces {
  #rest: Uint8Array = new Uint8Array(0);
  readonly #stream: AsyncIterator<Uint8Array>;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#stream = stream[Symbol.asyncIterator]();
  }

  /**
   * The next `length` bytes, the caller's to keep.
   *
   * @param endsEarly makes the error for a stream that ends before
   */
  async take(length: number, endsEarly: (taken: number) => Error): Promise<Uint8Array> {
    const piece = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const data = this.#rest.length > 0 ? this.#rest : await this.#next();
      if (data === undefined) throw endsEarly(filled);
      const taken = data.subarray(0, length - filled);
      piece.set(taken, filled);
      filled += taken.length;
      this.#rest = data.subarray(taken.length);
    }
    return piece;
  }

  /** Whatever follows, as it comes. */
  async *remainder(): AsyncGenerator<Uint8Array, void, void> {
    try {
      if (this.#rest.length > 0) yield this.#rest;
      for (let data = await this.#next(); data !== undefined; data = await this.#next()) yield data;
    } finally {
      await this.end();
    }
  }

  /** Lets go of the stream. */
  async end(): Promise<void> {
    await this.#stream.return?.();
  }

  async #next(): Promise<Uint8Array | undefined> {
    const { value, done } = await this.#stream.next();
    return done === true ? undefined : value;
  }
}
