/**
 * Where blobs lie: `blobs/ab/abcd...`, and `incoming/` for what is being written. A name there says which process wrote
 * it, so that what a dead one left is found.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createPrivateDirectory, errorCode } from '../../durable/private-files.js';
import { syncDirectory } from '../../files.js';

const FOLDERS = Array.from({ length: 256 }, (_, index) => index.toString(16).padStart(2, '0'));
const BLOB_NAME = /^[0-9a-f]{64}$/;
const INCOMING_NAME = /^[0-9a-f]{64}\.(\d{1,10})\.([0-9a-f]{16})\.\d+$/;

/** A process id alone comes back: in a container it is 1 after every restart. */
const PROCESS = `${process.pid}.${randomBytes(8).toString('hex')}`;
let written = 0;

export class BlobFiles {
  private readonly blobs: string;
  private readonly incoming: string;

  constructor(root: string) {
    this.blobs = join(root, 'blobs');
    this.incoming = join(root, 'incoming');
  }

  async exist(): Promise<boolean> {
    return (await modifiedAtMs(this.blobs)) !== undefined;
  }

  /** Makes what is missing; all folders at once, so that no put has to. */
  async prepare(): Promise<void> {
    await createPrivateDirectory(this.blobs);
    await createPrivateDirectory(this.incoming);
    const existing = new Set(await readdir(this.blobs));
    const missing = FOLDERS.filter((folder) => !existing.has(folder));
    for (const folder of missing) {
      await mkdir(join(this.blobs, folder), { recursive: true, mode: 0o700 });
    }
    if (missing.length > 0) await syncDirectory(this.blobs);
  }

  folderOf(digest: string): string {
    return join(this.blobs, digest.slice(0, 2));
  }

  pathOf(digest: string): string {
    return join(this.folderOf(digest), digest);
  }

  newIncomingPath(digest: string): string {
    written += 1;
    return join(this.incoming, `${digest}.${PROCESS}.${written}`);
  }

  async *digests(): AsyncIterable<string> {
    for (const folder of FOLDERS) {
      for (const name of await readdir(join(this.blobs, folder))) {
        if (BLOB_NAME.test(name) && name.startsWith(folder)) yield name;
      }
    }
  }

  /**
   * Removes what dead processes left in `incoming`, and whatever is from before `beforeMs`. A process that cannot be
   * seen from here, as in another container, finds its file gone and writes it again.
   */
  async collectIncoming(beforeMs: number): Promise<void> {
    for (const name of await readdir(this.incoming)) {
      const path = join(this.incoming, name);
      if (isLeftover(name) || ((await modifiedAtMs(path)) ?? beforeMs) < beforeMs)
        await rm(path, { force: true });
    }
  }
}

function isLeftover(name: string): boolean {
  const [, pid, instance] = INCOMING_NAME.exec(name) ?? [];
  if (pid === undefined) return false;
  return `${pid}.${instance}` !== PROCESS && (Number(pid) === process.pid || !isRunning(Number(pid)));
}

function isRunning(pid: number): boolean {
  try {
    // Signal 0 reaches nobody; the call only asks.
    return process.kill(pid, 0);
  } catch (error) {
    return errorCode(error) !== 'ESRCH';
  }
}

async function modifiedAtMs(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
    return undefined;
  }
}
