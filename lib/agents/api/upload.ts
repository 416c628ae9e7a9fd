/** Sending an update: as a whole, and after a cut only what has not arrived. */
import { type FileHandle, open } from 'node:fs/promises';
import { chunkCount } from '../../package/digests.js';
import type { Envelope } from '../../package/envelope.js';
import { CHUNK_BYTES } from '../../package/layout.js';
import { openContainer } from '../../package/reader.js';
import { isConnectionFailure } from '../failures.js';
import type { FleetApi, UploadProgress } from './fleet-api.js';

export type UploadApi = Pick<
  FleetApi,
  'uploadProgress' | 'putUpdate' | 'putEnvelope' | 'putChunk' | 'completeUpload'
>;

interface Chunk {
  readonly offset: number;
  readonly length: number;
}

/**
 * Sends the update in `path`, or what is missing of it.
 *
 * @param plan fingerprint, 64 hexadecimal digits
 * @param update fingerprint, 64 hexadecimal digits
 * @returns what became of it
 * @throws ApiRefusedError with the service's code; EnvironmentError `http.unreachable`, `http.timeout`
 */
export async function uploadUpdate(
  api: UploadApi,
  plan: string,
  update: string,
  path: string,
): Promise<UploadProgress> {
  const known = await api.uploadProgress(plan, update);
  // What was refused once is offered again as a whole: the answer says why it is refused now.
  if (known !== undefined && known.state !== 'left-out') return resume(api, plan, update, path, known);
  try {
    return await api.putUpdate(plan, update, path);
  } catch (error) {
    if (!isConnectionFailure(error)) throw error;
  }
  // The whole file did not get through: in pieces, each of which stays.
  const begun = await api.uploadProgress(plan, update);
  return resume(api, plan, update, path, begun);
}

async function resume(
  api: UploadApi,
  plan: string,
  update: string,
  path: string,
  known: UploadProgress | undefined,
): Promise<UploadProgress> {
  const container = await openContainer(path, 'update');
  await container.close();
  const progress = known ?? (await api.putEnvelope(plan, update, container.envelopeBytes));
  if (progress.state !== 'incomplete' && progress.state !== 'complete') return progress;
  const chunks = chunksOf(container);
  const file = await open(path, 'r');
  try {
    for (const number of progress.missing) {
      const chunk = chunks[number];
      if (chunk !== undefined) await api.putChunk(plan, update, number, await readChunk(file, chunk));
    }
  } finally {
    await file.close();
  }
  return api.completeUpload(plan, update);
}

/** The chunks of all sections, in order, as the service numbers them. */
function chunksOf({ header, envelopeBytes }: Envelope<'update'>): Chunk[] {
  let start = envelopeBytes.length;
  return header.sections.flatMap(({ length }) => {
    const first = start;
    start += length;
    return Array.from({ length: chunkCount(length) }, (_, i) => ({
      offset: first + i * CHUNK_BYTES,
      length: Math.min(CHUNK_BYTES, length - i * CHUNK_BYTES),
    }));
  });
}

async function readChunk(file: FileHandle, { offset, length }: Chunk): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  const { bytesRead } = await file.read(bytes, 0, length, offset);
  return bytes.subarray(0, bytesRead);
}
