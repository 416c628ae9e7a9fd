/**
 * Key files: the private keys of one role, one JSON file with mode 0600.
 *
 * A key is never overwritten: creating refuses a path where anything exists, and KEM keys are only added
 * under a new epoch or destroyed. Reading follows symbolic links, since container platforms mount secrets
 * as links, and checks what it opened rather than the path, so nothing can be swapped in between. Changing
 * refuses links: replacing the link would leave a destroyed key in the file that it points to.
 */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { createPrivateDirectory, errorCode } from '../durable/private-files.js';
import { EnvironmentError, FormatError, RefusedError, type TensorGuardError } from '../errors.js';
import { replaceFile } from '../files.js';
import { SecretBytes } from './secret-bytes.js';

const MAX_FILE_BYTES = 1 << 20;

/** A 32-byte seed in base64, in its one canonical spelling. */
const seedSchema = z
  .string()
  .regex(/^[A-Za-z0-9+/]{43}=$/)
  .refine((text) => Buffer.from(text, 'base64').toString('base64') === text);

const keyFileSchema = z.strictObject({
  format: z.literal('tensorguard-native key file'),
  version: z.literal(1),
  role: z.enum(['client', 'aggregator', 'custodian', 'owner', 'coordinator']),
  id: z.string().min(1).max(255),
  created: z.iso.datetime(),
  signing: z.strictObject({ ed25519: seedSchema, 'ml-dsa-65': seedSchema.optional() }),
  kem: z
    .array(z.strictObject({ epoch: z.int().min(0), seed: seedSchema }))
    .refine((keys) => new Set(keys.map((key) => key.epoch)).size === keys.length)
    .optional(),
  prf: seedSchema.optional(),
});

type KeyFileDocument = z.infer<typeof keyFileSchema>;

export type Role = KeyFileDocument['role'];

/** An X-Wing seed (32 bytes) and the epoch that it serves. */
export interface KemEpochKey {
  readonly epoch: number;
  readonly seed: SecretBytes;
}

/** What a key file holds. Every secret is a 32-byte seed that does not print itself. */
export interface RoleKeys {
  readonly role: Role;
  readonly id: string;
  /** When the keys were made: ISO 8601, UTC. */
  readonly created: string;
  readonly signing: { readonly ed25519: SecretBytes; readonly 'ml-dsa-65'?: SecretBytes };
  /** At most one key an epoch; empty for roles that receive nothing sealed. */
  readonly kem: readonly KemEpochKey[];
  /** A client's PRF key, which hedges its randomness and keys its digests. */
  readonly prf?: SecretBytes;
}

/**
 * Writes a new key file, mode 0600, creating its directory with mode 0700 if there is none.
 *
 * @throws RefusedError `key.exists` if anything is at `path`
 * @throws EnvironmentError `storage.permissions` if others than the user may write to the directory
 * @throws FormatError `key.malformed` if `keys` does not fit the format
 */
export async function createKeyFile(path: string, keys: RoleKeys): Promise<void> {
  const document = parseDocument(path, toDocument(keys));
  await createPrivateDirectory(dirname(path));
  try {
    await replaceFile(path, serialize(document), { mode: 0o600, exclusive: true });
  } catch (error) {
    if (errorCode(error) === 'EEXIST') {
      throw new RefusedError(
        'key.exists',
        `${path} exists, and a key is never overwritten. Choose another directory, or move the old key away.`,
      );
    }
    throw error;
  }
}

/**
 * Reads a key file.
 *
 * @throws EnvironmentError `key.missing`, `key.unreadable`
 * @throws RefusedError `key.permissions` if the file's mode lets group or others read, write or execute it
 * @throws FormatError `key.malformed`; the message names fields, never their contents
 */
export async function readKeyFile(path: string): Promise<RoleKeys> {
  const file = await openKeyFile(path, constants.O_RDONLY);
  try {
    return fromDocument(await readDocument(path, file));
  } finally {
    await file.close();
  }
}

/**
 * Adds the KEM key of a new epoch.
 *
 * @throws RefusedError `key.exists` if the file has a key of that epoch; `key.locked`; `key.symlink`; and
 *   what `readKeyFile` throws
 */
export async function addKemKey(path: string, key: KemEpochKey): Promise<void> {
  await changeKemKeys(path, (keys) => {
    if (keys.some((present) => present.epoch === key.epoch)) {
      throw new RefusedError(
        'key.exists',
        `${path} has a KEM key of epoch ${key.epoch}, and a key is never overwritten. Use the next epoch.`,
      );
    }
    return [...keys, { epoch: key.epoch, seed: key.seed.use(toBase64) }];
  });
}

/**
 * Destroys the KEM key of an epoch whose rounds are all closed, after which nothing sealed to it opens. The
 * old file's blocks are overwritten with zeroes: on flash, copy-on-write file systems and backups that is
 * no guarantee, which is why such keys belong behind a key wrapper.
 *
 * @throws RefusedError `key.no-epoch` if the file has no key of that epoch; `key.locked`; `key.symlink`; and
 *   what `readKeyFile` throws
 */
export async function destroyKemKey(path: string, epoch: number): Promise<void> {
  await changeKemKeys(path, (keys) => {
    const kept = keys.filter((key) => key.epoch !== epoch);
    if (kept.length === keys.length) {
      throw new RefusedError(
        'key.no-epoch',
        `${path} has no KEM key of epoch ${epoch}: it was destroyed before, or never was in this file.`,
      );
    }
    return kept;
  });
}

/** Wipes every secret of `keys` from memory; see `SecretBytes.wipe` for what that is worth. */
export function wipeKeys(keys: RoleKeys): void {
  for (const secret of [keys.signing.ed25519, keys.signing['ml-dsa-65'], keys.prf]) {
    secret?.wipe();
  }
  for (const key of keys.kem) {
    key.seed.wipe();
  }
}

type KemDocuments = NonNullable<KeyFileDocument['kem']>;

async function changeKemKeys(path: string, change: (keys: KemDocuments) => KemDocuments): Promise<void> {
  // Two changes at once would each write back what the other removed: a destroyed key would return.
  const lockPath = `${path}.lock`;
  const lock = await open(lockPath, 'wx', 0o600).catch((error: unknown) => {
    throw errorCode(error) === 'EEXIST'
      ? new RefusedError(
          'key.locked',
          `Another process is changing ${path}. If none is, one was killed: remove ${lockPath}, try again.`,
        )
      : unreadable(path, error);
  });
  try {
    const old = await openKeyFile(path, constants.O_RDWR | constants.O_NOFOLLOW);
    try {
      const document = await readDocument(path, old);
      const { size } = await old.stat();
      const next = parseDocument(path, { ...document, kem: change(document.kem ?? []) });
      await replaceFile(path, serialize(next), { mode: 0o600 });
      // `old` is unlinked by now: a crash before this line loses the overwriting, never a key.
      await old.write(new Uint8Array(size), 0, size, 0);
      await old.sync();
    } finally {
      await old.close();
    }
  } finally {
    await lock.close();
    await unlink(lockPath);
  }
}

async function openKeyFile(path: string, flags: number): Promise<FileHandle> {
  // O_NONBLOCK: opening a pipe put at the path must not wait for a writer.
  const file = await open(path, flags | constants.O_NONBLOCK).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  try {
    requireSafe(path, await file.stat());
  } catch (error) {
    await file.close();
    throw error;
  }
  return file;
}

function requireSafe(path: string, status: Stats): void {
  if (!status.isFile() || status.size > MAX_FILE_BYTES) {
    throw new FormatError('key.malformed', `${path} is not a key file: it is no regular file, or too large.`);
  }
  if ((status.mode & 0o077) !== 0) {
    const mode = (status.mode & 0o777).toString(8).padStart(3, '0');
    throw new RefusedError(
      'key.permissions',
      `${path} has mode ${mode}: others than its owner may use the keys in it. Run: chmod 600 ${path} ` +
        '- and replace the keys if others had access to this machine.',
    );
  }
}

function unreadable(path: string, error: unknown): TensorGuardError {
  switch (errorCode(error)) {
    case 'ENOENT':
      return new EnvironmentError('key.missing', `There is no key file ${path}. Check the path.`);
    case 'ELOOP':
      return new RefusedError(
        'key.symlink',
        `${path} is a symbolic link, and changing keys through a link would leave the old file behind. ` +
          'Name the file that it points to.',
      );
    default:
      return new EnvironmentError('key.unreadable', `${path} cannot be opened; see the cause.`, {
        cause: error,
      });
  }
}

async function readDocument(path: string, file: FileHandle): Promise<KeyFileDocument> {
  const text = await file.readFile('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message quotes the text around the fault, which may be a key.
    throw new FormatError(
      'key.malformed',
      `${path} is not JSON. Restore it from where the key was backed up.`,
    );
  }
  return parseDocument(path, value);
}

function parseDocument(path: string, value: unknown): KeyFileDocument {
  const result = keyFileSchema.safeParse(value);
  if (!result.success) {
    const fields = result.error.issues.map((issue) => issue.path.join('.') || 'the document');
    throw new FormatError(
      'key.malformed',
      `The key file ${path} is malformed in: ${[...new Set(fields)].join(', ')}. It must be version 1 of the ` +
        'format, with 32-byte seeds in base64 and no other fields.',
    );
  }
  return result.data;
}

function serialize(document: KeyFileDocument): string {
  return `${JSON.stringify(document, null, 2)}\n`;
}

function toDocument(keys: RoleKeys): unknown {
  const mlDsa65 = keys.signing['ml-dsa-65'];
  return {
    format: 'tensorguard-native key file',
    version: 1,
    role: keys.role,
    id: keys.id,
    created: keys.created,
    signing: {
      ed25519: keys.signing.ed25519.use(toBase64),
      ...(mlDsa65 && { 'ml-dsa-65': mlDsa65.use(toBase64) }),
    },
    ...(keys.kem.length > 0 && {
      kem: keys.kem.map((key) => ({ epoch: key.epoch, seed: key.seed.use(toBase64) })),
    }),
    ...(keys.prf && { prf: keys.prf.use(toBase64) }),
  };
}

function fromDocument(document: KeyFileDocument): RoleKeys {
  const mlDsa65 = document.signing['ml-dsa-65'];
  return {
    role: document.role,
    id: document.id,
    created: document.created,
    signing: {
      ed25519: fromBase64(document.signing.ed25519),
      ...(mlDsa65 !== undefined && { 'ml-dsa-65': fromBase64(mlDsa65) }),
    },
    kem: (document.kem ?? []).map((key) => ({ epoch: key.epoch, seed: fromBase64(key.seed) })),
    ...(document.prf !== undefined && { prf: fromBase64(document.prf) }),
  };
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
