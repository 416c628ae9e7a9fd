/** Which files a residual store has, and where. */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ORPHANED_LOCK_NAME } from '../../durable/directory-lock.js';
import { errorCode } from '../../durable/private-files.js';
import { syncDirectory } from '../../files.js';
import { ResidualFile } from './residual-file.js';
import { changePath } from './staged-change.js';
import { removeOrphanedStagedFiles } from './staged-file.js';

const COMMITTED_SUFFIX = '.residual';
const CHANGE_NAME = /^([0-9a-f]{64})\.change$/;
const TEMPORARY_NAME = /^\..*\.tmp$/;

export class StoreFiles {
  readonly pendingDirectory: string;

  constructor(private readonly root: string) {
    this.pendingDirectory = join(root, 'pending');
  }

  committedPath(policy: string): string {
    return join(this.root, `${policy}${COMMITTED_SUFFIX}`);
  }

  /** The policies that have a committed residual, whatever it holds. */
  async policies(): Promise<string[]> {
    const names = await readdir(this.root);
    return names
      .filter((name) => name.endsWith(COMMITTED_SUFFIX))
      .map((name) => name.slice(0, -COMMITTED_SUFFIX.length));
  }

  /** The caller closes the file, if there is one. @throws what `ResidualFile.open` throws */
  async openCommitted(policy: string): Promise<ResidualFile | undefined> {
    const file = await ResidualFile.open(this.committedPath(policy), 'committed');
    if (file !== undefined && file.header.policy !== policy) {
      await file.close();
      throw file.corrupt(`it is the residual of policy "${file.header.policy}"`);
    }
    return file;
  }

  /** The caller closes the file, if there is one. @throws what `ResidualFile.open` throws */
  async openChange(update: Uint8Array): Promise<ResidualFile | undefined> {
    const file = await ResidualFile.open(changePath(this.pendingDirectory, update), 'change');
    if (file !== undefined && !file.includes(update)) {
      await file.close();
      throw file.corrupt("it is another update's change");
    }
    return file;
  }

  /** The fingerprints of the updates whose change is here, in bytewise order. */
  async pending(): Promise<Uint8Array[]> {
    const names = await readdir(this.pendingDirectory);
    return names
      .map((name) => CHANGE_NAME.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .sort()
      .map((digits) => Uint8Array.from(Buffer.from(digits, 'hex')));
  }

  /** Those of `updates` whose change is here. */
  async stillPending(updates: readonly Uint8Array[]): Promise<Uint8Array[]> {
    const pending = await this.pending();
    return updates.filter((update) => pending.some((other) => Buffer.compare(other, update) === 0));
  }

  /** Removes a change for good, and says whether there was one. */
  /** When a change was written, in milliseconds since 1970; undefined where there is none. */
  async changeWrittenMs(update: Uint8Array): Promise<number | undefined> {
    try {
      return (await stat(changePath(this.pendingDirectory, update))).mtimeMs;
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async removeChange(update: Uint8Array): Promise<boolean> {
    try {
      await rm(changePath(this.pendingDirectory, update));
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return false;
      throw error;
    }
    await syncDirectory(this.pendingDirectory);
    return true;
  }

  /** Removes what crashes left: under the store's lock, which whoever else writes to the root also holds. */
  async removeOrphans(): Promise<void> {
    for (const name of await readdir(this.root)) {
      if (TEMPORARY_NAME.test(name) || ORPHANED_LOCK_NAME.test(name)) {
        await rm(join(this.root, name), { force: true });
      }
    }
    await removeOrphanedStagedFiles(this.pendingDirectory);
  }
}
