/** Storing a container of any kind from a stream: its envelope is verified first, then every chunk against its digest. */
import { FormatError, VerificationError } from '../../errors.js';
import { chunkCount, chunkDigest } from '../../package/digests.js';
import { type Envelope, readEnvelope } from '../../package/envelope.js';
import { CHUNK_BYTES } from '../../package/layout.js';
import type { MessageKind } from '../../package/messages/registry.js';
import type { BlobStore } from '../../store/store.js';
import { takeEnvelope } from './envelope-reader.js';
import { type StoredFile, type StoredPiece, storeBytes } from './stored-file.js';

/** The chunks of all sections, in order, as the signed header names them. */
export function chunksOf({ header }: Envelope<MessageKind>): readonly StoredPiece[] {
  return header.sections.flatMap(({ length, digests }) =>
    Array.from({ length: chunkCount(length) }, (_, i) => ({
      digest: Buffer.from(digests[i] as Uint8Array).toString('hex'),
      length: Math.min(CHUNK_BYTES, length - i * CHUNK_BYTES),
    })),
  );
}

/** Bytes of the whole file. */
export function fileBytes(envelope: Envelope<MessageKind>): number {
  return envelope.header.sections.reduce((sum, { length }) => sum + length, envelope.envelopeBytes.length);
}

/** @throws VerificationError `container.digest-mismatch`; FormatError `upload.wrong-length` */
export async function requireChunk(chunk: StoredPiece, index: number, bytes: Uint8Array): Promise<void> {
  if (bytes.length !== chunk.length) {
    throw new FormatError(
      'upload.wrong-length',
      `Chunk ${index} has ${chunk.length} bytes; ${bytes.length} came. Send exactly these.`,
    );
  }
  if (Buffer.from(await chunkDigest(bytes)).toString('hex') !== chunk.digest) {
    throw new VerificationError(
      'container.digest-mismatch',
      `Chunk ${index} is not what the header was signed with; send it again.`,
    );
  }
}

/** @throws FormatError `upload.wrong-length` where the header announces a file of another size than was declared */
export function requireFileBytes(envelope: Envelope<MessageKind>, declaredBytes: number): void {
  const expected = fileBytes(envelope);
  if (declaredBytes === expected) return;
  throw new FormatError(
    'upload.wrong-length',
    `The header announces a file of ${expected} bytes; ${declaredBytes} were declared. Send the file as it was made.`,
  );
}

/** The chunks of a file's sections, as they come; each the caller's to keep. */
export async function* sectionChunks(
  envelope: Envelope<MessageKind>,
  rest: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  const lengths = chunksOf(envelope).map(({ length }) => length);
  let next = 0;
  let chunk = new Uint8Array(lengths[0] ?? 0);
  let filled = 0;
  for await (const part of rest) {
    let left = part;
    while (left.length > 0) {
      if (next === lengths.length) throw endsElsewhere();
      const taken = left.subarray(0, chunk.length - filled);
      chunk.set(taken, filled);
      filled += taken.length;
      left = left.subarray(taken.length);
      if (filled < chunk.length) continue;
      yield chunk;
      next += 1;
      chunk = new Uint8Array(lengths[next] ?? 0);
      filled = 0;
    }
  }
  if (next < lengths.length) throw endsElsewhere();
}

/**
 * Stores a whole file. Nothing after the envelope is read before `verify` has accepted the envelope.
 *
 * @param sizeBytes as the sender declared it
 * @throws what `verify` throws; FormatError `container.*`, `upload.wrong-length`; VerificationError `container.digest-mismatch`
 */
export async function storeVerified<K extends MessageKind>(
  blobs: BlobStore,
  kind: K,
  body: AsyncIterable<Uint8Array>,
  limits: { readonly sizeBytes: number; readonly maxEnvelopeBytes: number },
  verify: (envelope: Envelope<K>) => Promise<void>,
): Promise<{ readonly envelope: Envelope<K>; readonly file: StoredFile }> {
  const taken = await takeEnvelope(body, limits.sizeBytes, limits.maxEnvelopeBytes);
  try {
    const envelope = readEnvelope(taken.envelope, kind);
    await verify(envelope);
    requireFileBytes(envelope, limits.sizeBytes);
    const stored = await storeBytes(blobs, envelope.envelopeBytes);
    const chunks = chunksOf(envelope);
    let index = 0;
    for await (const bytes of sectionChunks(envelope, taken.rest)) {
      const chunk = chunks[index] as StoredPiece;
      await requireChunk(chunk, index, bytes);
      await blobs.put(chunk.digest, bytes);
      index += 1;
    }
    return { envelope, file: [...stored, ...chunks] };
  } finally {
    await taken.rest.return();
  }
}

function endsElsewhere(): FormatError {
  return new FormatError(
    'upload.wrong-length',
    'The body ends before its last section, or goes on after it. Send it again.',
  );
}
