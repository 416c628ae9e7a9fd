/** Writing a role's archive while the role may be at work. */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type ArchiveFile, type ArchiveMode, writeArchive } from '../../custody/archive/archive-format.js';
import { readArchivePassphrase } from '../../custody/archive/archive-header.js';
import { openClientState } from '../../custody/client-state.js';
import { hex } from '../../custody/fields.js';
import {
  type KeyRow,
  keyRow,
  description as keyStoreDescription,
  type Role,
} from '../../custody/keys/key-rows.js';
import { KeyStore } from '../../custody/keys/key-store.js';
import { KEY_STORE_FILE } from '../../custody/keys/key-vault.js';
import { openLedger } from '../../custody/ledger.js';
import { LEDGER_FILE } from '../../custody/role-directory.js';
import { copyDatabase } from '../../durable/database-copy.js';
import { DurableDatabase } from '../../durable/durable-database.js';
import { errorCode } from '../../durable/private-files.js';
import { EnvironmentError } from '../../errors.js';
import { encodeClientMemory, encodeDescription } from './archive-documents.js';
import { CLIENT_MEMORY_FILE, DESCRIPTION_FILE, exportedState, KEYS_FOLDER } from './exported-state.js';

const COPIES_PREFIX = '.export-';
const MAX_KEY_FILE_BYTES = 64 * 1024;
/** What happens between an export and the lock right after it, or to the files meanwhile, does not happen this often running. */
const SNAPSHOT_ATTEMPTS = 12;

export interface ExportOptions {
  readonly directory: string;
  /** A file of mode 0600 with 12 to 1024 bytes. */
  readonly passphraseFile: string;
  /** The archive to write (`.tgx`). */
  readonly out: string;
  /** For tests: log2 of scrypt's N, 10 to 18. */
  readonly scryptLog2N?: number;
}

export interface ExportedRole {
  readonly role: Role;
  readonly id: string;
  readonly fleet: string;
  /** The archive's id, as both trails name it: 32 hex characters. */
  readonly archive: string;
  /** How many files it holds. */
  readonly files: number;
  /** Names of the keys in it. */
  readonly keys: readonly string[];
}

/**
 * Exports a role's directory into one encrypted archive. Secrets stay wrapped as they are. The trail has the export before
 * the archive is there, and the archive holds the trail with it.
 *
 * @throws RefusedError `archive.exists`, `key.not-active`; EnvironmentError `export.keys-changed`, `archive.source-changed`,
 *   `storage.*`; `wrapper.*`; VerificationError where the state that would be exported cannot be trusted
 */
export async function exportRole(options: ExportOptions): Promise<ExportedRole> {
  const { directory, out, scryptLog2N } = options;
  const passphrase = await readArchivePassphrase(options.passphraseFile);
  try {
    const store = await KeyStore.open(directory);
    try {
      const { role, id, fleet } = store;
      const archive = hex(randomBytes(16));
      const description = encodeDescription({ archive, fleet, role, id, exportedAtMs: Date.now() });
      return await withCopies(directory, async (copies) => {
        const { rows, files } = await snapshot(store, archive, copies);
        const all: ArchiveFile[] = [{ path: DESCRIPTION_FILE, mode: 0o600, content: description }, ...files];
        await writeArchive(out, passphrase, all, scryptLog2N === undefined ? {} : { scryptLog2N });
        return { role, id, fleet, archive, files: all.length, keys: rows.map(({ name }) => name) };
      });
    } finally {
      store.close();
    }
  } finally {
    passphrase.wipe();
  }
}

async function recordExport(store: KeyStore, archive: string): Promise<void> {
  const ledgerHead = store.role === 'custodian' ? await ledgerHeadOf(store.directory) : undefined;
  const before = store.auditHead();
  await store.record('export', {
    archive,
    auditEntries: before.sequence,
    auditHead: hex(before.hash),
    ...(ledgerHead !== undefined && { ledgerHead: hex(ledgerHead) }),
  });
}

async function ledgerHeadOf(directory: string): Promise<Uint8Array> {
  const ledger = await openLedger(join(directory, LEDGER_FILE));
  try {
    return ledger.head();
  } finally {
    ledger.close();
  }
}

/** A folder of the role's own, and so as private as it is; what a killed export left goes first. */
async function withCopies<T>(directory: string, use: (copies: string) => Promise<T>): Promise<T> {
  for (const name of await readdir(directory)) {
    if (name.startsWith(COPIES_PREFIX)) await rm(join(directory, name), { recursive: true, force: true });
  }
  const copies = join(directory, `${COPIES_PREFIX}${hex(randomBytes(6))}`);
  await mkdir(copies, { mode: 0o700 });
  try {
    return await use(copies);
  } finally {
    await rm(copies, { recursive: true, force: true });
  }
}

interface Snapshot {
  /** Of the keys whose secrets are in it. */
  readonly rows: readonly KeyRow[];
  readonly files: readonly ArchiveFile[];
}

async function snapshot(store: KeyStore, archive: string, copies: string): Promise<Snapshot> {
  const { directory, role } = store;
  const files: ArchiveFile[] = [];
  const { rows, files: keyFiles } = await snapshotKeys(store, archive, copies);
  files.push(
    { path: KEY_STORE_FILE, mode: 0o600, content: { file: join(copies, KEY_STORE_FILE) } },
    ...keyFiles,
  );
  if (role === 'client') files.push(await clientMemory(directory));
  const { databases, files: single, records, folders } = exportedState(role);
  for (const path of single) files.push(...(await fileIfThere(directory, path)));
  for (const folder of [...records, ...folders]) files.push(...(await filesIn(directory, folder)));
  for (const path of databases) {
    if (path === KEY_STORE_FILE || !(await isThere(join(directory, path)))) continue;
    const copy = join(copies, path);
    await copyDatabase(join(directory, path), copy);
    files.push({ path, mode: 0o600, content: { file: copy } });
  }
  return { rows, files };
}

/**
 * The key store and the files that it refers to, as of one moment: that of the export, with which its trail ends. Where the role
 * did something in between, the export is recorded again.
 */
async function snapshotKeys(store: KeyStore, archive: string, copies: string): Promise<Snapshot> {
  const { directory, role } = store;
  const copy = join(copies, KEY_STORE_FILE);
  for (let attempt = 1; attempt <= SNAPSHOT_ATTEMPTS; attempt += 1) {
    await recordExport(store, archive);
    await rm(copy, { force: true });
    let ends = false;
    await copyDatabase(join(directory, KEY_STORE_FILE), copy, (take) =>
      // Under the write lock, that nothing is recorded between the export and the copy.
      store.vault.database.transaction(() => {
        ends = endsWithExport(store, archive);
        if (ends) take();
      }),
    );
    if (!ends) continue;
    const database = await DurableDatabase.open(copy, keyStoreDescription);
    const rows = database
      .all(keyRow, 'SELECT * FROM key ORDER BY name')
      .filter((row) => isExported(role, row));
    database.close();
    const files = await readKeyFiles(directory, rows);
    if (files !== undefined) return { rows, files };
  }
  throw new EnvironmentError(
    'export.keys-changed',
    'The role recorded acts, or its keys were wrapped anew or destroyed, each time they were about to be copied. Nothing was ' +
      'written; export again.',
  );
}

function endsWithExport({ vault: { trail } }: KeyStore, archive: string): boolean {
  const [last] = trail.entries(trail.head().sequence - 1);
  return last?.kind === 'export' && last.detail['archive'] === archive;
}

/** A custodian's KEM key of any epoch, whatever its state, could open shares that another machine answers for. */
function isExported(role: Role, { purpose, secret_file, recovery_file }: KeyRow): boolean {
  return (secret_file !== null || recovery_file !== null) && !(role === 'custodian' && purpose === 'kem');
}

/** Undefined where a file went since its name was read. */
async function readKeyFiles(
  directory: string,
  rows: readonly KeyRow[],
): Promise<readonly ArchiveFile[] | undefined> {
  const files: ArchiveFile[] = [];
  for (const name of rows.flatMap(({ secret_file, recovery_file }) => [secret_file, recovery_file])) {
    if (name === null) continue;
    try {
      const content = await readSmallFile(join(directory, KEYS_FOLDER, name));
      files.push({ path: `${KEYS_FOLDER}/${name}`, mode: 0o600, content });
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }
  return files;
}

async function readSmallFile(path: string): Promise<Uint8Array> {
  const file: FileHandle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { size } = await file.stat();
    if (size > MAX_KEY_FILE_BYTES) {
      throw new EnvironmentError(
        'export.unreadable',
        `${path} is too large to be a key file. Check what it is.`,
      );
    }
    return new Uint8Array(await file.readFile());
  } finally {
    await file.close();
  }
}

async function clientMemory(directory: string): Promise<ArchiveFile> {
  const state = await openClientState(directory);
  try {
    return { path: CLIENT_MEMORY_FILE, mode: 0o600, content: encodeClientMemory(state.memory()) };
  } finally {
    state.close();
  }
}

async function filesIn(directory: string, folder: string): Promise<ArchiveFile[]> {
  const names = await readdir(join(directory, folder)).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  });
  const files: ArchiveFile[] = [];
  // A name with a dot in front is a file that is being written.
  for (const name of names.filter((entry) => !entry.startsWith('.')).sort()) {
    files.push(...(await fileIfThere(directory, `${folder}/${name}`)));
  }
  return files;
}

async function fileIfThere(directory: string, path: string): Promise<ArchiveFile[]> {
  const file = join(directory, path);
  const mode = await modeOf(file);
  return mode === undefined ? [] : [{ path, mode, content: { file } }];
}

async function modeOf(path: string): Promise<ArchiveMode | undefined> {
  const status = await lstat(path).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (status === undefined) return undefined;
  if (status.isFile()) return (status.mode & 0o044) === 0 ? 0o600 : 0o644;
  throw new EnvironmentError(
    'export.unreadable',
    `${path} is no regular file, and belongs to what is exported. Put the file itself there.`,
  );
}

async function isThere(path: string): Promise<boolean> {
  return (await modeOf(path)) !== undefined;
}
