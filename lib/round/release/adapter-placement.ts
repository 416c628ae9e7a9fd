/**
 * Putting a received adapter where it is used: into a directory beside it first, then renamed into place.
 *
 * As `writePeftAdapter` does it, with files that are already written: the same configuration takes one rename, another one
 * takes two, between which a crash leaves the old adapter where `loadPeftAdapter` finds it.
 */
import { copyFile, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ADAPTER_CONFIG_FILE, ADAPTER_TENSORS_FILE, previousOf } from '../../adapter/peft.js';
import { EnvironmentError, RefusedError } from '../../errors.js';
import { syncDirectory } from '../../files.js';

const MODEL_CARD_FILE = 'README.md';
const ADAPTER_FILES: readonly string[] = [ADAPTER_CONFIG_FILE, ADAPTER_TENSORS_FILE, MODEL_CARD_FILE];

/** An adapter on its way; `place` or `discard` ends it. One at a time for one target: the caller holds a lock. */
export class StagedAdapter {
  private constructor(
    private readonly target: string,
    /** Where the two files are written, with mode 0700. */
    readonly directory: string,
    /** Where `loadPeftAdapter` looks for an adapter whose replacement was cut off. */
    private readonly previous: string,
  ) {}

  /**
   * Makes an empty directory beside `target`; what a crash left there is removed, and an adapter that it left between two
   * renames put back.
   *
   * @throws RefusedError `adapter.directory-not-empty` where `target` holds anything but an adapter and its README.md
   * @throws EnvironmentError `adapter.directory-unreadable`
   */
  static async begin(target: string): Promise<StagedAdapter> {
    const absolute = resolve(target);
    const parent = dirname(absolute);
    const opening = join(parent, `.${basename(absolute)}.tensorguard-opening`);
    const staged = new StagedAdapter(absolute, opening, previousOf(absolute));
    await staged.restorePrevious();
    requireReplaceable(target, (await list(absolute)) ?? []);
    await mkdir(parent, { recursive: true });
    await staged.discard();
    await mkdir(staged.directory, { mode: 0o700 });
    return staged;
  }

  /** Puts the adapter in place; on the disk when this returns. The files in `directory` are on the disk before. */
  async place(): Promise<void> {
    const { target, directory, previous } = this;
    const present = (await list(target)) ?? [];
    requireReplaceable(target, present);
    if (await this.hasSameConfig(present)) {
      await rename(join(directory, ADAPTER_TENSORS_FILE), join(target, ADAPTER_TENSORS_FILE));
      await syncDirectory(target);
      return;
    }
    if (present.includes(MODEL_CARD_FILE)) await this.copyModelCard();
    await syncDirectory(directory);
    if (present.length > 0) {
      await rm(previous, { recursive: true, force: true });
      await rename(target, previous);
    }
    try {
      await rename(directory, target);
    } catch (error) {
      await this.restorePrevious();
      throw error;
    }
    await syncDirectory(dirname(target));
  }

  /** Removes what is not needed once the adapter is in place and recorded. */
  async finish(): Promise<void> {
    await rm(this.previous, { recursive: true, force: true });
    await this.discard();
  }

  /** Removes the files in `directory`, and it. */
  async discard(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  private async restorePrevious(): Promise<void> {
    if ((await list(this.previous)) === undefined || (await list(this.target)) !== undefined) return;
    await rename(this.previous, this.target);
  }

  private async hasSameConfig(present: readonly string[]): Promise<boolean> {
    if (!present.includes(ADAPTER_CONFIG_FILE)) return false;
    const [old, received] = await Promise.all(
      [this.target, this.directory].map((directory) => readFile(join(directory, ADAPTER_CONFIG_FILE))),
    );
    return (old as Buffer).equals(received as Buffer);
  }

  private async copyModelCard(): Promise<void> {
    const copy = join(this.directory, MODEL_CARD_FILE);
    await copyFile(join(this.target, MODEL_CARD_FILE), copy);
    const file = await open(copy, 'r+');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }
}

function requireReplaceable(directory: string, present: readonly string[]): void {
  const foreign = present.filter((name) => !ADAPTER_FILES.includes(name));
  // A README.md alone is no adapter to replace.
  if (foreign.length === 0 && present.join() !== MODEL_CARD_FILE) return;
  throw new RefusedError(
    'adapter.directory-not-empty',
    `${directory} holds more than an adapter (${present.slice(0, 3).join(', ')}); nothing was written. Name another ` +
      'directory, or empty this one.',
  );
}

/** The names in a directory, or undefined where there is none. */
async function list(directory: string): Promise<string[] | undefined> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new EnvironmentError(
      'adapter.directory-unreadable',
      `${directory} cannot be listed: ${(error as Error).message}.`,
      { cause: error },
    );
  }
}
