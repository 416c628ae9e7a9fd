/** The pieces of an update's file, as its signed header names them: what an upload consists of. */
import { chunkCount } from '../../package/digests.js';
import type { Envelope } from '../../package/envelope.js';
import { CHUNK_BYTES } from '../../package/layout.js';
import type { StoredFile, StoredPiece } from './stored-file.js';

/** The chunks of all sections, in order: what an upload numbers from 0. */
export function chunksOf({ header }: Envelope<'update'>): readonly StoredPiece[] {
  return header.sections.flatMap(({ length, digests }) =>
    Array.from({ length: chunkCount(length) }, (_, i) => ({
      digest: Buffer.from(digests[i] as Uint8Array).toString('hex'),
      length: Math.min(CHUNK_BYTES, length - i * CHUNK_BYTES),
    })),
  );
}

/** The whole file: its envelope, as it was stored, then the chunks. */
export function fileOf(envelope: Envelope<'update'>, stored: StoredFile): StoredFile {
  return [...stored, ...chunksOf(envelope)];
}

/** Bytes of the whole file. */
export function fileBytes(envelope: Envelope<'update'>): number {
  return envelope.header.sections.reduce((sum, { length }) => sum + length, envelope.envelopeBytes.length);
}
