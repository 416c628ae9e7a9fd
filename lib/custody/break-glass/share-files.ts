/**
 * Files of officers' shares: one share, JSON, mode 0600. Reading follows symbolic links and checks what was opened, as for
 * key files: media are mounted in many ways, and nothing can be swapped in between.
 */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { createPrivateDirectory, errorCode } from '../../durable/private-files.js';
import { EnvironmentError, FormatError, RefusedError } from '../../errors.js';
import { replaceFile } from '../../files.js';
import { idSchema } from '../../package/messages/common.js';
import { SecretBytes } from '../secret-bytes.js';
import type { OfficerShare } from './officer-shares.js';
import { ownerShape, setIdSchema } from './recovery-description.js';

const MAX_FILE_BYTES = 4096;

const shareFileSchema = z.strictObject({
  format: z.literal('tensorguard-native officer share'),
  version: z.literal(1),
  ...ownerShape,
  setId: setIdSchema,
  officer: idSchema,
  /** 33 bytes: 44 characters of base64 that need no padding and so have one spelling. */
  share: z.string().regex(/^[A-Za-z0-9+/]{44}$/),
});

/**
 * Writes a new share file, mode 0600, creating its directory with mode 0700 if there is none.
 *
 * @throws RefusedError `break-glass.share-exists` if anything is at `path`
 * @throws EnvironmentError `storage.permissions` if others than the user may write to the directory
 * @throws FormatError `break-glass.malformed-share` if `share` does not fit the format
 */
export async function writeShareFile(path: string, share: OfficerShare): Promise<void> {
  const { fleet, role, id, setId, officer } = share;
  const document = parseDocument(path, {
    format: 'tensorguard-native officer share',
    version: 1,
    fleet,
    role,
    id,
    setId,
    officer,
    share: share.share.use(toBase64),
  });
  await createPrivateDirectory(dirname(path));
  try {
    await replaceFile(path, `${JSON.stringify(document, null, 2)}\n`, { mode: 0o600, exclusive: true });
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    throw new RefusedError(
      'break-glass.share-exists',
      `${path} exists, and a share is never overwritten. Name another file, or move the old one away.`,
    );
  }
}

/**
 * Reads a share file. Whether the share is sound is for `proveOfficer` and `combineShares` to say.
 *
 * @throws EnvironmentError `break-glass.share-missing`, `break-glass.share-unreadable`
 * @throws RefusedError `break-glass.share-permissions` if its mode lets group or others do anything with it
 * @throws FormatError `break-glass.malformed-share`; the message names fields, never their contents
 */
export async function readShareFile(path: string): Promise<OfficerShare> {
  // O_NONBLOCK: opening a pipe put at the path must not wait for a writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  const buffer = new Uint8Array(MAX_FILE_BYTES);
  try {
    requireSafe(path, await file.stat());
    const document = parseJson(path, await readBounded(path, file, buffer));
    const { format, version, share, ...rest } = parseDocument(path, document);
    return { ...rest, share: fromBase64(share) };
  } finally {
    buffer.fill(0);
    await file.close();
  }
}

function requireSafe(path: string, status: Stats): void {
  if (!status.isFile() || status.size > MAX_FILE_BYTES) {
    throw malformed(path, 'it is no regular file, or too large');
  }
  if ((status.mode & 0o077) !== 0) {
    const mode = (status.mode & 0o777).toString(8).padStart(3, '0');
    throw new RefusedError(
      'break-glass.share-permissions',
      `${path} has mode ${mode}: others than its owner may use the share in it. Run: chmod 600 ${path} ` +
        '- and set up a new recovery key if others had access to this machine.',
    );
  }
}

/** At most `MAX_FILE_BYTES`, whatever is appended meanwhile. */
async function readBounded(path: string, file: FileHandle, buffer: Uint8Array): Promise<Uint8Array> {
  let length = 0;
  for (let read = -1; read !== 0 && length < buffer.length; length += read) {
    ({ bytesRead: read } = await file
      .read(buffer, length, buffer.length - length, length)
      .catch((error: unknown) => {
        throw unreadable(path, error);
      }));
  }
  return buffer.subarray(0, length);
}

function parseJson(path: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    // The parser's message quotes the text around the fault, which may be the share.
    throw malformed(path, 'it is not JSON');
  }
}

function parseDocument(path: string, value: unknown): z.infer<typeof shareFileSchema> {
  const result = shareFileSchema.safeParse(value);
  if (result.success) return result.data;
  const fields = result.error.issues.map((issue) => issue.path.join('.') || 'the document');
  throw malformed(path, `it breaks version 1 of the format in: ${[...new Set(fields)].join(', ')}`);
}

function malformed(path: string, why: string): FormatError {
  return new FormatError(
    'break-glass.malformed-share',
    `${path} is no officer's share: ${why}. Use another copy of it.`,
  );
}

function unreadable(path: string, error: unknown): EnvironmentError {
  return errorCode(error) === 'ENOENT'
    ? new EnvironmentError('break-glass.share-missing', `There is no share file ${path}. Check the path.`)
    : new EnvironmentError('break-glass.share-unreadable', `${path} cannot be read; see the cause.`, {
        cause: error,
      });
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

function fromBase64(text: string): SecretBytes {
  // Node's pool backs small buffers with one shared array, where `wipe` would still leave this copy.
  const pooled = Buffer.from(text, 'base64');
  const bytes = new Uint8Array(pooled);
  pooled.fill(0);
  return new SecretBytes(bytes);
}
