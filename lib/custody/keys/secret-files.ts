/**
 * The files that hold keys: one secret each, wrapped, mode 0600, in `keys/` of a role's directory.
 *
 * They are written and removed inside a transaction of the key store's database, which refers to them by name: what it
 * does not refer to is left over from a crash and is shredded. Everything here is synchronous for that reason.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { errorCode } from '../../durable/private-files.js';
import { EnvironmentError, FormatError, RefusedError } from '../../errors.js';

const MAX_FILE_BYTES = 64 * 1024;

const secretFileSchema = z.strictObject({
  format: z.literal('tensorguard-native wrapped key'),
  version: z.literal(1),
  /** Of the wrapping key: `WrapperDescription.id`, or the officers' recovery set. */
  wrapper: z.string().min(1).max(512),
  blob: z.base64().min(1),
});

export interface SecretFile {
  readonly wrapper: string;
  readonly blob: Uint8Array;
}

/** The names of files in `keys/`, which the database decides about. */
export class SecretFiles {
  readonly #directory: string;

  /** @param directory `keys/` of a role's directory */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Creates the directory, mode 0700. */
  prepare(): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
  }

  /** Writes a new file, whole and on the disk when this returns. A name is never used twice. */
  create(name: string, { wrapper, blob }: SecretFile): void {
    const document = {
      format: 'tensorguard-native wrapped key',
      version: 1,
      wrapper,
      blob: Buffer.from(blob.buffer, blob.byteOffset, blob.length).toString('base64'),
    };
    const temporary = join(this.#directory, `.${name}.${randomBytes(6).toString('hex')}.tmp`);
    const file = openSync(temporary, 'wx', 0o600);
    try {
      writeSync(file, `${JSON.stringify(document)}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    linkSync(temporary, join(this.#directory, name));
    unlinkSync(temporary);
    this.#sync();
  }

  /**
   * @throws EnvironmentError `key.missing`, `key.unreadable`; RefusedError `key.permissions`; FormatError `key.malformed`,
   *   which never quotes what the file holds
   */
  read(name: string): SecretFile {
    const path = join(this.#directory, name);
    const file = openSafely(path, constants.O_RDONLY);
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } finally {
      closeSync(file);
    }
    const parsed = secretFileSchema.safeParse(parseJson(text));
    if (!parsed.success) {
      throw new FormatError(
        'key.malformed',
        `${path} is no wrapped key of version 1. Restore it from where the key was backed up.`,
      );
    }
    return { wrapper: parsed.data.wrapper, blob: new Uint8Array(Buffer.from(parsed.data.blob, 'base64')) };
  }

  /**
   * Overwrites a file with zeros and removes it; nothing if it is not there. On flash, copy-on-write file systems and
   * backups overwriting is no guarantee, which is why such keys belong behind a wrapper whose key is elsewhere.
   */
  shred(name: string): void {
    const path = join(this.#directory, name);
    let file: number;
    try {
      file = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return;
      throw unreadable(path, error);
    }
    try {
      writeSync(file, new Uint8Array(fstatSync(file).size), 0, undefined, 0);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    unlinkSync(path);
    this.#sync();
  }

  /** Every file there is, unfinished ones among them. */
  names(): readonly string[] {
    try {
      return readdirSync(this.#directory);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return [];
      throw unreadable(this.#directory, error);
    }
  }

  #sync(): void {
    const directory = openSync(this.#directory, constants.O_RDONLY);
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
  }
}

function openSafely(path: string, flags: number): number {
  let file: number;
  try {
    // O_NONBLOCK: opening a pipe put at the path must not wait for a writer.
    file = openSync(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    throw unreadable(path, error);
  }
  try {
    const status = fstatSync(file);
    if (!status.isFile() || status.size > MAX_FILE_BYTES) {
      throw new FormatError(
        'key.malformed',
        `${path} is not a key file: it is no regular file, or too large.`,
      );
    }
    if ((status.mode & 0o077) !== 0) {
      const mode = (status.mode & 0o777).toString(8).padStart(3, '0');
      throw new RefusedError(
        'key.permissions',
        `${path} has mode ${mode}: others than its owner may use the key in it. Run: chmod 600 ${path} ` +
          '- and replace the keys if others had access to this machine.',
      );
    }
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the text around the fault, which may be a key.
    return undefined;
  }
}

function unreadable(path: string, error: unknown): EnvironmentError {
  return errorCode(error) === 'ENOENT'
    ? new EnvironmentError('key.missing', `There is no key file ${path}. Check the path.`)
    : new EnvironmentError('key.unreadable', `${path} cannot be opened; see the cause.`, { cause: error });
}
