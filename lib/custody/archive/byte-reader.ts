/** Taking a stream of chunks apart: exact numbers of bytes, and long contents without holding them. */
import { malformed } from './archive-header.js';

export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array();
  /** Bytes of the content that is being streamed and were not read yet. */
  #streamingBytes = 0;
  #onChunk: (chunk: Uint8Array) => void = () => undefined;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next `sizeBytes` bytes, a copy; for small numbers that the caller has bounded. @throws FormatError `archive.malformed` */
  async take(sizeBytes: number): Promise<Uint8Array> {
    const taken = new Uint8Array(sizeBytes);
    for (let filled = 0; filled < sizeBytes; ) {
      const part = await this.#next(sizeBytes - filled);
      taken.set(part, filled);
      filled += part.length;
    }
    return taken;
  }

  /** The next `sizeBytes` bytes in chunks, valid until the next one is asked for; `onChunk` sees each before the consumer. */
  stream(sizeBytes: number, onChunk: (chunk: Uint8Array) => void): AsyncIterable<Uint8Array> {
    this.#streamingBytes = sizeBytes;
    this.#onChunk = onChunk;
    return { [Symbol.asyncIterator]: () => this.#streamed() };
  }

  /** Reads what is left of the stream. */
  async drain(): Promise<void> {
    for await (const chunk of { [Symbol.asyncIterator]: () => this.#streamed() }) void chunk;
  }

  /** Whether nothing follows. */
  async ended(): Promise<boolean> {
    return this.#chunk.length === 0 && !(await this.#refill());
  }

  async *#streamed(): AsyncGenerator<Uint8Array> {
    while (this.#streamingBytes > 0) {
      const part = await this.#next(this.#streamingBytes);
      this.#streamingBytes -= part.length;
      this.#onChunk(part);
      yield part;
    }
  }

  async #next(maxBytes: number): Promise<Uint8Array> {
    if (this.#chunk.length === 0 && !(await this.#refill())) throw malformed('it ends too early');
    const part = this.#chunk.subarray(0, maxBytes);
    this.#chunk = this.#chunk.subarray(part.length);
    return part;
  }

  async #refill(): Promise<boolean> {
    for (;;) {
      const { done, value } = await this.#chunks.next();
      if (done === true) return false;
      if (value.length > 0) {
        this.#chunk = value;
        return true;
      }
    }
  }
}
