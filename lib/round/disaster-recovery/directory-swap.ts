/**
 * Putting a directory in another's place, so that a crash at any point leaves one of them, and running it again ends it.
 *
 * Beside the directory NAME: the new one as `.NAME.import-RANDOM`, a journal `.NAME.import.json`, the old one as
 * `.NAME.import-replaced`. Without a journal the new directory is unfinished and goes; the journal is the commitment, after
 * which only the way forward is left:
 *
 *   1. journal;
 *   2. old directory -> `.NAME.import-replaced`;
 *   3. its secrets are shredded: from here on nobody acts by it;
 *   4. new directory -> NAME;
 *   5. the old one is removed, then the journal.
 *
 * A file system renames one directory at a time. Between 2 and 4 there is none under NAME; there are never two.
 */
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { secretFilesIn } from '../../custody/keys/key-vault.js';
import { errorCode } from '../../durable/private-files.js';
import { EnvironmentError, FormatError, RefusedError } from '../../errors.js';
import { replaceFile, syncDirectory } from '../../files.js';

const JOURNAL_FORMAT = 'tensorguard-native import';

const journalSchema = z.strictObject({
  format: z.literal(JOURNAL_FORMAT),
  version: z.literal(1),
  /** Name of the new directory. */
  staged: z.string().regex(/^\.[^/]+\.import-[0-9a-f]{12}$/),
});

export class DirectorySwap {
  readonly target: string;
  readonly #parent: string;
  readonly #prefix: string;
  readonly #journal: string;
  readonly #replaced: string;

  constructor(target: string) {
    this.target = resolve(target);
    this.#parent = dirname(this.target);
    this.#prefix = `.${basename(this.target)}.import`;
    this.#journal = join(this.#parent, `${this.#prefix}.json`);
    this.#replaced = join(this.#parent, `${this.#prefix}-replaced`);
  }

  /**
   * Ends a swap that was interrupted after its journal; throws away what was staged without one.
   *
   * @throws RefusedError `import.interrupted` where somebody made a directory in between; FormatError
   *   `import.journal-malformed`
   */
  async resume(): Promise<void> {
    const staged = await this.#readJournal();
    if (staged !== undefined) await this.#forward(join(this.#parent, staged));
    await this.abandon();
  }

  /**
   * Makes an empty directory beside the target. Its name was never used before: a database that was open at a path must not
   * be mistaken for another one there.
   */
  async stage(): Promise<string> {
    await mkdir(this.#parent, { recursive: true });
    const staged = join(this.#parent, `${this.#prefix}-${randomBytes(6).toString('hex')}`);
    await mkdir(staged, { mode: 0o700 });
    return staged;
  }

  /** Throws away what was staged, unless a journal says that it is what counts. */
  async abandon(): Promise<void> {
    if (await exists(this.#journal)) return;
    const names = await readdir(this.#parent).catch((error: unknown): string[] => {
      if (errorCode(error) === 'ENOENT') return [];
      throw error;
    });
    for (const name of names) {
      const path = join(this.#parent, name);
      if (name.startsWith(`.${basename(this.#journal)}.`)) await rm(path, { force: true });
      if (name.startsWith(`${this.#prefix}-`) && path !== this.#replaced) await removeRole(path);
    }
  }

  /**
   * Puts a staged directory, on the disk and closed, in the target's place.
   *
   * @throws EnvironmentError `import.cannot-replace`, and both are as they were
   */
  async commit(staged: string): Promise<void> {
    await syncDirectory(staged);
    if (await isEmptyOrAbsent(this.target)) {
      await rename(staged, this.target).catch(cannotReplace(this.target));
      await syncDirectory(this.#parent);
      return;
    }
    const journal = { format: JOURNAL_FORMAT, version: 1, staged: basename(staged) };
    await replaceFile(this.#journal, `${JSON.stringify(journal)}\n`, { mode: 0o600 });
    await this.#forward(staged);
  }

  async #forward(staged: string): Promise<void> {
    if (await exists(staged)) {
      if (await exists(this.target)) {
        if (await exists(this.#replaced)) throw interrupted(this.target, staged);
        await this.#setAside();
      }
      shredSecrets(this.#replaced);
      await rename(staged, this.target);
      await syncDirectory(this.#parent);
    }
    await removeRole(this.#replaced);
    await rm(this.#journal, { force: true });
    await syncDirectory(this.#parent);
  }

  async #setAside(): Promise<void> {
    try {
      await rename(this.target, this.#replaced);
    } catch (error) {
      // Nothing has changed yet: a mount point, say, cannot be renamed however often it is tried.
      await rm(this.#journal, { force: true });
      return cannotReplace(this.target)(error);
    }
    await syncDirectory(this.#parent);
  }

  async #readJournal(): Promise<string | undefined> {
    let text: string;
    try {
      text = await readFile(this.#journal, 'utf8');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    const journal = journalSchema.safeParse(parseJson(text));
    if (journal.success && journal.data.staged.startsWith(`${this.#prefix}-`)) return journal.data.staged;
    throw new FormatError(
      'import.journal-malformed',
      `${this.#journal} is not what an import leaves there. If ${this.target} is whole, remove it and import again.`,
    );
  }
}

/** Overwrites and removes every key file of a role's directory; done again, it does nothing. */
function shredSecrets(directory: string): void {
  const files = secretFilesIn(directory);
  for (const name of files.names()) files.shred(name);
}

async function removeRole(directory: string): Promise<void> {
  if (!(await exists(directory))) return;
  shredSecrets(directory);
  await rm(directory, { recursive: true, force: true });
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}

async function isEmptyOrAbsent(directory: string): Promise<boolean> {
  try {
    return (await readdir(directory)).length === 0;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return true;
    throw error;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function cannotReplace(target: string): (error: unknown) => never {
  return (error) => {
    throw new EnvironmentError(
      'import.cannot-replace',
      `${target} cannot be replaced by another directory; see the cause. If it is a mount point, name a directory in it.`,
      { cause: error },
    );
  };
}

function interrupted(target: string, staged: string): RefusedError {
  return new RefusedError(
    'import.interrupted',
    `An import was interrupted, and ${target} was made anew since. Move that directory away and run the import again: ` +
      `what it restores is in ${staged}.`,
  );
}
