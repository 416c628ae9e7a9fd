/** Restoring a role from its archive, on another machine or on one that knows the role. */
import { chmod, copyFile, lstat, mkdir, readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { extractArchive } from '../../custody/archive/archive-extraction.js';
import { readArchivePassphrase } from '../../custody/archive/archive-header.js';
import { type ClientMemory, openClientState } from '../../custody/client-state.js';
import type { Role } from '../../custody/keys/key-rows.js';
import { KeyStore } from '../../custody/keys/key-store.js';
import { KEY_STORE_FILE } from '../../custody/keys/key-vault.js';
import type { SecretBytes } from '../../custody/secret-bytes.js';
import { copyDatabase, foldLog } from '../../durable/database-copy.js';
import { errorCode } from '../../durable/private-files.js';
import { RefusedError } from '../../errors.js';
import { DirectorySwap } from './directory-swap.js';
import { isExportedPath, isRoleHistory, isRoleState, KEYS_FOLDER } from './exported-state.js';
import { adopt, takeDocuments, verifyRestored } from './restored-state.js';
import { requireExtension } from './state-extension.js';

/** Files that an operator keeps in a role's directory: a policy, a passphrase, a certificate. */
const MAX_CARRIED_BYTES = 1 << 20;

export interface ImportOptions {
  readonly archive: string;
  /** A file of mode 0600. */
  readonly passphraseFile: string;
  /** Missing, without a role, or this role's. */
  readonly directory: string;
  /** For a custodian whose fleet has moved on since the archive was written: the least epoch of its new key. */
  readonly minEpoch?: number;
}

export interface ImportedRole {
  readonly role: Role;
  readonly id: string;
  readonly fleet: string;
  readonly archive: string;
  /** Of a custodian: the epoch of its new KEM key, whose enrolment lies in its directory. */
  readonly epoch: number | undefined;
  /** Whether an import of this archive that had begun before was only ended, or was whole already. */
  readonly done: 'now' | 'before';
}

/**
 * Imports an archive. The directory is what it was, or restored whole; interrupted, the same import again ends it.
 *
 * A custodian makes the key of a new epoch and answers for no earlier one; a client refuses the deltas that were sealed before.
 * Other processes of this role are to be stopped first.
 *
 * @throws RefusedError `import.other-role`, `import.older-trail`, `import.older-ledger`, `import.older-records`,
 *   `import.diverged`, `import.foreign-files`, `import.in-use`, `import.interrupted`, `import.no-key-store`; `wrapper.*`
 * @throws VerificationError, FormatError `archive.*`, and those of the state that the archive holds
 */
export async function importRole(options: ImportOptions): Promise<ImportedRole> {
  const directory = await realpath(options.directory).catch(() => options.directory);
  const passphrase = await readArchivePassphrase(options.passphraseFile);
  try {
    const swap = new DirectorySwap(directory);
    await swap.resume();
    const staged = await swap.stage();
    try {
      const { imported, replaces } = await restore(staged, swap, options, passphrase);
      if (imported.done === 'now') {
        if (replaces) await requireUnused(imported.role, swap.target);
        await swap.commit(staged);
      }
      return imported;
    } finally {
      await swap.abandon();
    }
  } finally {
    passphrase.wipe();
  }
}

/** Extracts an archive, compares it with what is here, and makes it safe to act by. */
async function restore(
  staged: string,
  swap: DirectorySwap,
  options: ImportOptions,
  passphrase: SecretBytes,
): Promise<{ readonly imported: ImportedRole; readonly replaces: boolean }> {
  const { target } = swap;
  const paths = await extractArchive(options.archive, passphrase, staged, isExportedPath);
  const { description, memory } = await takeDocuments(staged, paths);
  const { archive, role, id, fleet } = description;
  // Roles whose keys were all destroyed have no such folder.
  await mkdir(join(staged, KEYS_FOLDER), { recursive: true, mode: 0o700 });
  const replaces = await carryOver(role, target, staged, paths);
  const memories: ClientMemory[] = memory === undefined ? [] : [memory];
  const store = await KeyStore.open(staged);
  try {
    await verifyRestored(store, description, paths);
    const known = replaces ? await readLocal(target, await swap.stage(), store, archive) : undefined;
    if (known?.memory !== undefined) memories.push(known.memory);
    const imported = { role, id, fleet, archive };
    if (known?.imported !== undefined) {
      return { imported: { ...imported, epoch: known.imported.epoch, done: 'before' }, replaces };
    }
    const { epoch } = await adopt(store, description, memories, options.minEpoch ?? 1);
    return { imported: { ...imported, epoch, done: 'now' }, replaces };
  } finally {
    store.close();
  }
}

interface LocalState {
  /** Where this archive was imported here before. */
  readonly imported?: { readonly epoch: number | undefined };
  /** Of a client. */
  readonly memory?: ClientMemory;
}

/**
 * What this machine has, which the archive must go on from. Read from copies: a database that this process had open would
 * keep its lock until the garbage collector finds it.
 */
async function readLocal(
  target: string,
  copies: string,
  staged: KeyStore,
  archive: string,
): Promise<LocalState> {
  for (const name of await readdir(target)) {
    if (name.endsWith('.sqlite')) await copyDatabase(join(target, name), join(copies, name));
  }
  const local = await KeyStore.open(copies);
  try {
    const imported = local.vault.trail
      .entries()
      .some(({ kind, detail }) => kind === 'import' && detail['archive'] === archive);
    // Nothing is gone back on: the state here is what that import made, or later.
    if (imported) {
      return { imported: { epoch: local.role === 'custodian' ? local.newestKem()?.epoch : undefined } };
    }
    await requireExtension(local, staged, target);
    return local.role === 'client' ? { memory: await clientMemory(copies) } : {};
  } finally {
    local.close();
  }
}

async function clientMemory(directory: string): Promise<ClientMemory> {
  const state = await openClientState(directory);
  try {
    return state.memory();
  } finally {
    state.close();
  }
}

/**
 * @throws RefusedError `import.in-use` where a process has a database of the role open: what it records from now on would be
 *   lost, and its closing would damage the restored database at the same path
 */
async function requireUnused(role: Role, target: string): Promise<void> {
  for (const name of await readdir(target)) {
    if (!name.endsWith('.sqlite') || (await foldLog(join(target, name)))) continue;
    throw new RefusedError(
      'import.in-use',
      `A process has ${join(target, name)} open. Stop every process of this ${role}, then import again.`,
    );
  }
}

/**
 * Copies an operator's own files into the restored directory.
 *
 * @returns whether a role lives in the target
 * @throws RefusedError `import.foreign-files` where something could not come along; `import.no-key-store`
 */
async function carryOver(
  role: Role,
  target: string,
  staged: string,
  paths: readonly string[],
): Promise<boolean> {
  const names = await readdir(target).catch((error: unknown): string[] => {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  });
  const hasStore = names.includes(KEY_STORE_FILE);
  for (const name of names) {
    // Without its trail nothing says whether the archive goes on from what lies here: an answer would be forgotten.
    if (!hasStore && isRoleHistory(role, name)) throw withoutKeyStore(join(target, name));
    if (isRoleState(role, name) || isLeftOver(name)) continue;
    const path = join(target, name);
    const status = await lstat(path);
    if (!status.isFile() || status.size > MAX_CARRIED_BYTES) throw foreignFiles(path);
    if (paths.includes(name)) continue;
    await copyFile(path, join(staged, name));
    await chmod(join(staged, name), status.mode & 0o777);
  }
  return hasStore;
}

/** What a killed process leaves of a file that it was writing. */
function isLeftOver(name: string): boolean {
  return name.startsWith('.export-') || (name.startsWith('.') && name.endsWith('.tmp'));
}

function withoutKeyStore(path: string): RefusedError {
  return new RefusedError(
    'import.no-key-store',
    `${path} is of a role whose ${KEY_STORE_FILE} is gone, and may be newer than the archive. Move the directory away, keep it, ` +
      'and import into a new one; what it remembers beyond the archive must not be done again.',
  );
}

function foreignFiles(path: string): RefusedError {
  return new RefusedError(
    'import.foreign-files',
    `${path} does not belong to a role, and an import replaces the whole directory. Move it away and import again.`,
  );
}
