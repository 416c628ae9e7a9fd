/** The two files of an adapter, as a release carries them: byte for byte. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { adapterSchema, adapterSchemaFingerprint } from '../../adapter/adapter-schema.js';
import { ADAPTER_CONFIG_FILE, ADAPTER_TENSORS_FILE, loadPeftAdapter } from '../../adapter/peft.js';
import { openRegularFile } from '../../adapter/regular-file.js';
import { RefusedError } from '../../errors.js';
import type { ReleasePayload } from '../../package/messages/release.js';

const PIECE_BYTES = 1 << 20;

export type AdapterFiles = Pick<ReleasePayload, 'config' | 'tensors'>;
type AdapterFile = AdapterFiles['config'];

/** A file's bytes in order, in pieces of up to a mebibyte. Each piece is the caller's until it asks for the next. */
async function* piecesOf(path: string): AsyncGenerator<Uint8Array, void, void> {
  const { file } = await openRegularFile(path);
  try {
    for (;;) {
      const piece = new Uint8Array(PIECE_BYTES);
      const { bytesRead } = await file.read(piece, 0, piece.length);
      if (bytesRead === 0) return;
      yield piece.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

async function measure(path: string): Promise<AdapterFile> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const piece of piecesOf(path)) {
    hash.update(piece);
    sizeBytes += piece.length;
  }
  return { sizeBytes, digest: Uint8Array.from(hash.digest()) };
}

/** Sizes and digests of an adapter's files, in constant memory. @throws as `openRegularFile` */
export async function measureAdapter(directory: string): Promise<AdapterFiles> {
  return {
    config: await measure(join(directory, ADAPTER_CONFIG_FILE)),
    tensors: await measure(join(directory, ADAPTER_TENSORS_FILE)),
  };
}

/**
 * The file's bytes, which must be those that were measured: the last piece is held back until the digest is known, so
 * that nothing whole leaves under a digest that is not its own.
 */
async function* measuredPieces(path: string, measured: AdapterFile): AsyncGenerator<Uint8Array, void, void> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  let held: Uint8Array | undefined;
  for await (const piece of piecesOf(path)) {
    if (held !== undefined) yield held;
    hash.update(piece);
    sizeBytes += piece.length;
    if (sizeBytes > measured.sizeBytes) throw changed(path);
    held = piece;
  }
  if (sizeBytes !== measured.sizeBytes || Buffer.compare(hash.digest(), measured.digest) !== 0) {
    throw changed(path);
  }
  if (held !== undefined) yield held;
}

/**
 * The plaintext of a release: the two files, back to back.
 *
 * @throws RefusedError `release.adapter-changed` where a file is not what was measured any more
 */
export async function* adapterPieces(
  directory: string,
  measured: AdapterFiles,
): AsyncGenerator<Uint8Array, void, void> {
  yield* measuredPieces(join(directory, ADAPTER_CONFIG_FILE), measured.config);
  yield* measuredPieces(join(directory, ADAPTER_TENSORS_FILE), measured.tensors);
}

export interface LoadableAdapter {
  /** Fingerprint of its tensors' names, shapes and dtypes, 32 bytes. */
  readonly schema: Uint8Array;
}

/**
 * Checks that the adapter in `directory` loads, and with `readValues` that all of its values are finite.
 *
 * @throws as `loadPeftAdapter`; FormatError `safetensors.non-finite`
 */
export async function requireLoadable(
  directory: string,
  options: { readonly peftTypes?: readonly string[] | undefined; readonly readValues: boolean },
): Promise<LoadableAdapter> {
  const { peftTypes } = options;
  const { tensors } = await loadPeftAdapter(directory, peftTypes === undefined ? {} : { peftTypes });
  try {
    if (options.readValues) {
      for (const name of tensors.names) {
        await tensors.readTensor(name, new Float32Array(tensors.info(name).elementCount));
      }
    }
    return { schema: adapterSchemaFingerprint(adapterSchema(tensors)) };
  } finally {
    await tensors.close();
  }
}

function changed(path: string): RefusedError {
  return new RefusedError(
    'release.adapter-changed',
    `${path} was changed while it was released. Nothing was released: leave the adapter alone, and try again.`,
  );
}
