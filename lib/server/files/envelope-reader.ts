/** Taking the envelope off the beginning of a stream, without reading more of it than it has to. */
import { FormatError } from '../../errors.js';
import { decodePrefix, PREFIX_BYTES, truncated } from '../../package/layout.js';

export interface EnvelopeAndRest {
  /** Magic to signature block. */
  readonly envelope: Uint8Array;
  /** What follows it. Read it, or end it. */
  readonly rest: AsyncGenerator<Uint8Array, void, void>;
}

/** Pieces of given lengths off a stream of others. */
class StreamReader {
  #rest: Uint8Array = new Uint8Array(0);
  readonly #stream: AsyncIterator<Uint8Array>;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#stream = stream[Symbol.asyncIterator]();
  }

  async take(length: number): Promise<Uint8Array> {
    const piece = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const data = this.#rest.length > 0 ? this.#rest : await this.#next();
      if (data === undefined) throw truncated(`the body ends after ${filled} of ${length} bytes`);
      const taken = data.subarray(0, length - filled);
      piece.set(taken, filled);
      filled += taken.length;
      this.#rest = data.subarray(taken.length);
    }
    return piece;
  }

  async *remainder(): AsyncGenerator<Uint8Array, void, void> {
    if (this.#rest.length > 0) yield this.#rest;
    for (let data = await this.#next(); data !== undefined; data = await this.#next()) yield data;
  }

  async #next(): Promise<Uint8Array | undefined> {
    const { value, done } = await this.#stream.next();
    return done === true ? undefined : value;
  }
}

/**
 * Reads the envelope that a body begins with.
 *
 * @param sizeBytes of the whole body, as its sender declared it: the lengths in the prefix are held against it
 * @param maxEnvelopeBytes larger ones are refused unread
 * @throws FormatError `container.*`
 */
export async function takeEnvelope(
  body: AsyncIterable<Uint8Array>,
  sizeBytes: number,
  maxEnvelopeBytes: number,
): Promise<EnvelopeAndRest> {
  const reader = new StreamReader(body);
  const start = await reader.take(Math.min(PREFIX_BYTES, sizeBytes));
  const { headerBytes, signatureBlockBytes } = decodePrefix(start, sizeBytes);
  const length = PREFIX_BYTES + headerBytes + signatureBlockBytes;
  if (length > maxEnvelopeBytes) {
    throw new FormatError(
      'container.too-large',
      `the envelope has ${length} bytes; at most ${maxEnvelopeBytes} are taken here`,
    );
  }
  const envelope = new Uint8Array(length);
  envelope.set(start);
  envelope.set(await reader.take(length - start.length), start.length);
  return { envelope, rest: reader.remainder() };
}
