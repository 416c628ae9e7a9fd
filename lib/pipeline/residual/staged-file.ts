/**
 * Temporary files that outlive a call: named after their process, so that another one that opens the store
 * removes those of the dead and leaves those of the living.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, link, open, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode } from '../../durable/private-files.js';
import { syncDirectory } from '../../files.js';

const NAME = /^\.staged\.([0-9]+)\.[0-9a-f]{12}\.tmp$/;

/** Those of this process: a container restarts under the process id that it had before. */
const own = new Set<string>();

export class StagedFile {
  private constructor(
    readonly path: string,
    readonly file: FileHandle,
  ) {}

  /** Creates an empty file of mode 0600 in `directory`. */
  static async create(directory: string): Promise<StagedFile> {
    const path = join(directory, `.staged.${process.pid}.${randomBytes(6).toString('hex')}.tmp`);
    own.add(path);
    try {
      return new StagedFile(path, await open(path, 'wx', 0o600));
    } catch (error) {
      own.delete(path);
      throw error;
    }
  }

  /**
   * Gives the file its name, on the disk when this returns; after an error it does not have it.
   *
   * @throws `EEXIST` if the name is taken
   */
  async publish(path: string): Promise<void> {
    await this.file.sync();
    await link(this.path, path);
    try {
      await this.remove();
      await syncDirectory(dirname(path));
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
  }

  /** Closes the file and removes its temporary name. */
  async remove(): Promise<void> {
    await this.file.close();
    await rm(this.path, { force: true });
    own.delete(this.path);
  }
}

/** Removes from `directory` the temporary files whose process is gone. */
export async function removeOrphanedStagedFiles(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const match = NAME.exec(name);
    const path = join(directory, name);
    if (match !== null && !own.has(path) && !isOtherLivingProcess(Number(match[1]))) {
      await rm(path, { force: true });
    }
  }
}

function isOtherLivingProcess(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, under another user.
    return errorCode(error) !== 'ESRCH';
  }
}
