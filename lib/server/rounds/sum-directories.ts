/**
 * Where sums are made: temporary directories that die with their sum. Those of a process that was killed are removed by the next
 * server that starts with the same aggregator's directory.
 */
import { createHash, randomBytes } from 'node:crypto';
import { lstat, mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PREFIX = 'tensorguard-sum-';
const NAME = /^tensorguard-sum-([0-9a-f]{16})-(\d{1,10})-([0-9a-f]{8})-[A-Za-z0-9]{6}$/;
/** Tells this process from an earlier one that had its number: in a container that is always the same one. */
const PROCESS = randomBytes(4).toString('hex');

export class SumDirectories {
  private constructor(
    private readonly root: string,
    /** Of the aggregator's directory: several servers may share a machine, and its temporary files. */
    private readonly owner: string,
  ) {}

  static async of(aggregatorDirectory: string, root = tmpdir()): Promise<SumDirectories> {
    const path = await realpath(aggregatorDirectory);
    return new SumDirectories(root, createHash('sha256').update(path).digest('hex').slice(0, 16));
  }

  make(): Promise<string> {
    return mkdtemp(join(this.root, `${PREFIX}${this.owner}-${process.pid}-${PROCESS}-`));
  }

  /**
   * Removes what killed processes of this aggregator have left. One that lives is not disturbed; where processes do not see each
   * other (containers), do not share the directory for temporary files.
   *
   * @returns how many there were
   */
  async removeLeftovers(): Promise<number> {
    let removed = 0;
    for (const name of await readdir(this.root)) {
      const [, owner, pid, birth] = NAME.exec(name) ?? [];
      if (owner !== this.owner || birth === PROCESS) continue;
      if (Number(pid) !== process.pid && isAlive(Number(pid))) continue;
      const path = join(this.root, name);
      if (!(await isOwnDirectory(path))) continue;
      await rm(path, { recursive: true, force: true });
      removed += 1;
    }
    return removed;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, and is somebody else's.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Anybody may put a name into a directory for temporary files, a link as well. */
async function isOwnDirectory(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  return found?.isDirectory() === true && found.uid === process.getuid?.();
}
