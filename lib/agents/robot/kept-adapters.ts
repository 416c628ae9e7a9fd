/** Copies of adapters in a directory: whole and on the disk, or not there at all. */
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ADAPTER_CONFIG_FILE, ADAPTER_TENSORS_FILE } from '../../adapter/peft.js';
import { createPrivateDirectory } from '../../durable/private-files.js';
import { syncDirectory } from '../../files.js';

const UNFINISHED = '.unfinished';

export class KeptAdapters {
  private constructor(private readonly root: string) {}

  /** Makes the directory if need be, and removes what a crash left unfinished in it. */
  static async open(root: string): Promise<KeptAdapters> {
    await createPrivateDirectory(root);
    await rm(join(root, UNFINISHED), { recursive: true, force: true });
    return new KeptAdapters(root);
  }

  path(name: string): string {
    return join(this.root, name);
  }

  async names(): Promise<string[]> {
    return (await readdir(this.root)).filter((name) => name !== UNFINISHED).sort();
  }

  /**
   * Copies the adapter in `from`, runs `finish` on the copy, and gives it the name that this returns.
   *
   * @param finish undefined to drop the copy
   */
  async add(
    from: string,
    finish: (directory: string) => Promise<string | undefined>,
  ): Promise<string | undefined> {
    const unfinished = this.path(UNFINISHED);
    await rm(unfinished, { recursive: true, force: true });
    await mkdir(unfinished, { mode: 0o700 });
    try {
      for (const file of [ADAPTER_CONFIG_FILE, ADAPTER_TENSORS_FILE]) {
        await copySynced(join(from, file), join(unfinished, file));
      }
      const name = await finish(unfinished);
      if (name === undefined || (await this.names()).includes(name)) return name;
      await syncDirectory(unfinished);
      await rename(unfinished, this.path(name));
      await syncDirectory(this.root);
      return name;
    } finally {
      await rm(unfinished, { recursive: true, force: true });
    }
  }

  async remove(name: string): Promise<void> {
    await rm(this.path(name), { recursive: true, force: true });
  }
}

/** What a robot learned is for no other user of it. */
async function copySynced(from: string, to: string): Promise<void> {
  const file = await open(to, 'wx', 0o600);
  try {
    for await (const piece of createReadStream(from, { highWaterMark: 1 << 20 })) {
      await file.writeFile(piece as Uint8Array);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}
