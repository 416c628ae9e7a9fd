/** Taking the envelope off the beginning of a stream, without reading more of it than it has to. */
import { FormatError } from '../../errors.js';
import { decodePrefix, PREFIX_BYTES, truncated } from '../../package/layout.js';
import { StreamPieces } from '../../package/stream-pieces.js';

export interface EnvelopeAndRest {
  /** Magic to signature block. */
  readonly envelope: Uint8Array;
  /** What follows it. Read it, or end it. */
  readonly rest: AsyncGenerator<Uint8Array, void, void>;
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
  const reader = new StreamPieces(body);
  const start = await reader.take(Math.min(PREFIX_BYTES, sizeBytes), endsEarly);
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
  envelope.set(await reader.take(length - start.length, endsEarly), start.length);
  return { envelope, rest: reader.remainder() };
}

function endsEarly(taken: number): Error {
  return truncated(`the body ends ${taken} bytes into its envelope`);
}
