/** Reading the small files that only their user may touch: passphrases, PINs, the wrapper's configuration. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { errorCode } from '../../durable/private-files.js';
import { EnvironmentError, FormatError, RefusedError } from '../../errors.js';
import { SecretBytes } from '../secret-bytes.js';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * Reads a whole file of at most `maxBytes` bytes. Symbolic links are followed, since container platforms mount secrets
 * as links; what is checked is the opened file, so nothing can be swapped in between.
 *
 * @throws EnvironmentError `wrapper.file-missing`, `wrapper.file-unreadable`
 * @throws RefusedError `wrapper.file-permissions` if its mode lets group or others do anything
 * @throws FormatError `wrapper.file-size` if it is no regular file, or too large
 */
export async function readPrivateFile(path: string, maxBytes: number): Promise<Uint8Array> {
  // O_NONBLOCK: opening a pipe put at the path must not wait for a writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    throw errorCode(error) === 'ENOENT'
      ? new EnvironmentError('wrapper.file-missing', `There is no file ${path}. Check the path.`)
      : new EnvironmentError('wrapper.file-unreadable', `${path} cannot be opened; see the cause.`, {
          cause: error,
        });
  });
  try {
    await requirePrivate(path, file, maxBytes);
    return await readBounded(path, file, maxBytes);
  } finally {
    await file.close();
  }
}

/**
 * Reads a secret from a file that holds it and, perhaps, one newline after it.
 *
 * @throws RefusedError `wrapper.secret-length` if it is shorter or longer than allowed; what `readPrivateFile` throws
 */
export async function readSecretLine(
  path: string,
  what: string,
  { minBytes, maxBytes }: { readonly minBytes: number; readonly maxBytes: number },
): Promise<SecretBytes> {
  const bytes = await readPrivateFile(path, maxBytes + 2);
  try {
    const sizeBytes = sizeWithoutNewline(bytes);
    if (sizeBytes < minBytes || sizeBytes > maxBytes) {
      throw new RefusedError(
        'wrapper.secret-length',
        `The ${what} in ${path} must have ${minBytes} to ${maxBytes} bytes, the newline at its end not counted.`,
      );
    }
    return new SecretBytes(bytes.slice(0, sizeBytes));
  } finally {
    bytes.fill(0);
  }
}

async function requirePrivate(path: string, file: FileHandle, maxBytes: number): Promise<void> {
  const status = await file.stat();
  if (!status.isFile() || status.size > maxBytes) {
    throw tooLarge(path, maxBytes);
  }
  if ((status.mode & 0o077) !== 0) {
    const mode = (status.mode & 0o777).toString(8).padStart(3, '0');
    throw new RefusedError(
      'wrapper.file-permissions',
      `${path} has mode ${mode}: others than its owner may use it. Run: chmod 600 ${path} - and replace the secret ` +
        'in it if others had access to this machine.',
    );
  }
}

async function readBounded(path: string, file: FileHandle, maxBytes: number): Promise<Uint8Array> {
  // Not `readFile`: the file may grow after `stat`, and its chunks would be copies that nobody wipes.
  const bytes = new Uint8Array(maxBytes + 1);
  let sizeBytes = 0;
  for (;;) {
    const { bytesRead } = await file.read(bytes, sizeBytes, bytes.length - sizeBytes, null);
    sizeBytes += bytesRead;
    if (bytesRead === 0 || sizeBytes > maxBytes) break;
  }
  const content = bytes.slice(0, sizeBytes);
  bytes.fill(0);
  if (sizeBytes > maxBytes) {
    content.fill(0);
    throw tooLarge(path, maxBytes);
  }
  return content;
}

function sizeWithoutNewline(bytes: Uint8Array): number {
  if (bytes.at(-1) !== LINE_FEED) return bytes.length;
  return bytes.at(-2) === CARRIAGE_RETURN ? bytes.length - 2 : bytes.length - 1;
}

function tooLarge(path: string, maxBytes: number): FormatError {
  return new FormatError(
    'wrapper.file-size',
    `${path} is no regular file, or has more than ${maxBytes} bytes. Check that it is the file you meant.`,
  );
}
