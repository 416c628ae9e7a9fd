/**
 * The archive of a role (`.tgx`): files, encrypted under a passphrase.
 *
 * archive = header (`archive-header.ts`) || segments (`archive-segments.ts`) of
 *   record* || manifest
 *   record = 1 || length (4, big-endian) || CBOR {path, mode, size} || size bytes
 *   manifest = 2 || length (4, big-endian) || CBOR [{path, sha256}] in the order of the records
 *
 * Encryption already finds every change; the manifest finds a writer that was wrong about what it wrote. Symbolic links and
 * other special files have no record, and a reader creates none.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { z } from 'zod';
import { errorCode } from '../../durable/private-files.js';
import { EnvironmentError, RefusedError } from '../../errors.js';
import { writeFileAtomically } from '../../files.js';
import { decodeCbor } from '../../package/cbor-decoding.js';
import { encodeCbor } from '../../package/cbor-encoding.js';
import { bytes32Schema } from '../../package/messages/common.js';
import { sameBytes } from '../fields.js';
import type { SecretBytes } from '../secret-bytes.js';
import { deriveArchiveKey, HEADER_BYTES, malformed, newHeader, parseHeader } from './archive-header.js';
import { ArchivePaths } from './archive-paths.js';
import { damaged, readSegments, SegmentWriter } from './archive-segments.js';
import { ByteReader } from './byte-reader.js';

const RECORD = 1;
const MANIFEST = 2;
const MAX_RECORD_HEADER_BYTES = 4096;
const MAX_MANIFEST_BYTES = 16 << 20;
const MAX_FILES = 50_000;
const READ_BYTES = 1 << 20;

const modeSchema = z.union([z.literal(0o600), z.literal(0o644)]);
const recordSchema = z.strictObject({
  path: z.string(),
  mode: modeSchema,
  size: z
    .int()
    .min(0)
    .max(2 ** 40),
});
const manifestSchema = z.array(z.strictObject({ path: z.string(), sha256: bytes32Schema })).max(MAX_FILES);

export type ArchiveMode = z.infer<typeof modeSchema>;

/** A file to put into an archive: from the disk, or from memory. */
export interface ArchiveFile {
  /** In the archive: relative, with "/". */
  readonly path: string;
  readonly mode: ArchiveMode;
  readonly content: Uint8Array | { readonly file: string };
}

export interface ArchiveEntry {
  readonly path: string;
  readonly mode: ArchiveMode;
  readonly sizeBytes: number;
}

/** Takes one file of an archive. What it leaves of `content` is read for it. */
export type ArchiveVisitor = (entry: ArchiveEntry, content: AsyncIterable<Uint8Array>) => Promise<void>;

export interface ArchiveOptions {
  /** For tests: log2 of scrypt's N, 10 to 18. */
  readonly scryptLog2N?: number;
}

/**
 * Writes an archive, mode 0600: whole and on the disk when this returns, or not there.
 *
 * @throws RefusedError `archive.exists`; FormatError `archive.bad-path`, `archive.too-large`; EnvironmentError
 *   `archive.source-changed` where a file changed its length meanwhile
 */
export async function writeArchive(
  path: string,
  passphrase: SecretBytes,
  files: readonly ArchiveFile[],
  options: ArchiveOptions = {},
): Promise<void> {
  const header = newHeader(options.scryptLog2N);
  const key = await deriveArchiveKey(passphrase, header);
  try {
    await writeFileAtomically(
      path,
      async (out) => {
        await out.writeFile(header.bytes);
        const segments = new SegmentWriter(out, header, key);
        await writeRecords(segments, files);
        await segments.finish();
      },
      { mode: 0o600, exclusive: true },
    );
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    throw new RefusedError(
      'archive.exists',
      `${path} exists, and an archive is never overwritten. Name another file.`,
    );
  } finally {
    key.wipe();
  }
}

/**
 * Reads an archive, a file at a time; `visit` gets each when its header was checked, and its bytes as their segments open.
 * Whoever keeps something must throw it away if this throws: that the archive is whole shows at its end.
 *
 * @throws VerificationError `archive.not-opened`, `archive.damaged`; FormatError `archive.malformed`, `archive.bad-path`;
 *   EnvironmentError `archive.unreadable`
 */
export async function readArchive(
  path: string,
  passphrase: SecretBytes,
  visit: ArchiveVisitor,
): Promise<void> {
  const { file, sizeBytes } = await openArchive(path);
  try {
    const header = parseHeader(await readHeader(file));
    const key = await deriveArchiveKey(passphrase, header);
    try {
      await readRecords(new ByteReader(readSegments(file, sizeBytes, header, key)), sizeBytes, visit);
    } finally {
      key.wipe();
    }
  } finally {
    await file.close();
  }
}

async function writeRecords(segments: SegmentWriter, files: readonly ArchiveFile[]): Promise<void> {
  const paths = new ArchivePaths();
  const manifest: { path: string; sha256: Uint8Array }[] = [];
  for (const { path, mode, content } of files) {
    paths.add(path);
    const hash = createHash('sha256');
    const write = async (size: number, chunks: AsyncIterable<Uint8Array> | readonly Uint8Array[]) => {
      await segments.push(framed(RECORD, encodeCbor({ path, mode, size })));
      let written = 0;
      for await (const chunk of chunks) {
        written += chunk.length;
        hash.update(chunk);
        await segments.push(chunk);
      }
      if (written !== size) throw sourceChanged(path);
    };
    if (content instanceof Uint8Array) await write(content.length, [content]);
    else await readSource(content.file, write);
    manifest.push({ path, sha256: new Uint8Array(hash.digest()) });
  }
  await segments.push(framed(MANIFEST, encodeCbor(manifest)));
}

function framed(type: number, header: Uint8Array): Uint8Array {
  const frame = new Uint8Array(5 + header.length);
  const view = new DataView(frame.buffer);
  view.setUint8(0, type);
  view.setUint32(1, header.length, false);
  frame.set(header, 5);
  return frame;
}

async function readSource(
  path: string,
  write: (sizeBytes: number, chunks: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<void> {
  // O_NOFOLLOW: a link in a role's directory must not bring a file of somewhere else into the archive.
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { size } = await file.stat();
    await write(size, chunksOf(file, size));
  } finally {
    await file.close();
  }
}

async function* chunksOf(file: FileHandle, sizeBytes: number): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.alloc(Math.min(READ_BYTES, sizeBytes));
  for (let offset = 0; offset < sizeBytes; ) {
    const wanted = Math.min(buffer.length, sizeBytes - offset);
    const { bytesRead } = await file.read(buffer, 0, wanted, offset);
    if (bytesRead === 0) return;
    offset += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

async function openArchive(path: string): Promise<{ file: FileHandle; sizeBytes: number }> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    throw new EnvironmentError('archive.unreadable', `The archive ${path} cannot be opened; see the cause.`, {
      cause: error,
    });
  });
  const status = await file.stat();
  if (status.isFile()) return { file, sizeBytes: status.size };
  await file.close();
  throw new EnvironmentError('archive.unreadable', `${path} is no regular file. Name the archive.`);
}

async function readHeader(file: FileHandle): Promise<Uint8Array> {
  const bytes = new Uint8Array(HEADER_BYTES);
  const { bytesRead } = await file.read(bytes, 0, HEADER_BYTES, 0);
  return bytes.subarray(0, bytesRead);
}

async function readRecords(input: ByteReader, archiveBytes: number, visit: ArchiveVisitor): Promise<void> {
  const paths = new ArchivePaths();
  const read: { path: string; sha256: Uint8Array }[] = [];
  for (;;) {
    const frame = Buffer.from(await input.take(5));
    const [type, length] = [frame.readUInt8(0), frame.readUInt32BE(1)];
    if (type === MANIFEST) {
      await checkManifest(input, length, read);
      return;
    }
    if (type !== RECORD || length > MAX_RECORD_HEADER_BYTES || read.length >= MAX_FILES) {
      throw malformed('a record of it is of no kind that is known');
    }
    const record = recordSchema.safeParse(
      decodeCbor(await input.take(length), 'the header of a file in the archive'),
    );
    if (!record.success) throw malformed('the header of a file in it is malformed');
    const { path, mode, size } = record.data;
    paths.add(path);
    if (size > archiveBytes) throw damaged(`"${path}" has more bytes than all of it`);
    const hash = createHash('sha256');
    const content = input.stream(size, (chunk) => void hash.update(chunk));
    await visit({ path, mode, sizeBytes: size }, content);
    // What the visitor left; its iterator may have been closed early.
    await input.drain();
    read.push({ path, sha256: new Uint8Array(hash.digest()) });
  }
}

async function checkManifest(
  input: ByteReader,
  length: number,
  read: readonly { path: string; sha256: Uint8Array }[],
): Promise<void> {
  if (length > MAX_MANIFEST_BYTES) throw malformed('its manifest is too large');
  const manifest = manifestSchema.safeParse(decodeCbor(await input.take(length), "the archive's manifest"));
  if (!manifest.success) throw malformed('its manifest is malformed');
  if (!(await input.ended())) throw malformed('something follows its manifest');
  const listed = manifest.data;
  const same = listed.length === read.length && listed.every((file, i) => isListed(file, read[i]));
  if (!same) throw damaged('its files are not those of its manifest');
}

function isListed(
  listed: { path: string; sha256: Uint8Array },
  file: { path: string; sha256: Uint8Array } | undefined,
): boolean {
  return file !== undefined && listed.path === file.path && sameBytes(listed.sha256, file.sha256);
}

function sourceChanged(path: string): EnvironmentError {
  return new EnvironmentError(
    'archive.source-changed',
    `"${path}" changed its length while it was exported. Nothing was written; export again.`,
  );
}
