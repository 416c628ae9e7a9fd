/**
 * The owner's records of what it released: `releases/COUNTER.json` claims a counter, `releases/COUNTER.tgr` is the release.
 * Both are created once. A counter whose making was cut off stays claimed and is never given to anything else; the next
 * release has the next counter.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { hex } from '../../custody/fields.js';
import { requireSameFleet, type TrustedRoster } from '../../custody/roster.js';
import { createPrivateDirectory } from '../../durable/private-files.js';
import { ParameterError } from '../../errors.js';
import { replaceFile } from '../../files.js';
import type { ReleaseBody } from '../../package/messages/release.js';
import { openContainer } from '../../package/reader.js';
import { type EncodedContainer, writeEncodedContainer } from '../../package/writer.js';

const RECORD = /^([1-9]\d{0,9})\.(json|tgr)$/;
const RELEASE_FILE = /^[1-9]\d{0,9}\.tgr$/;
const MAX_COUNTER = 2 ** 32 - 1;

export interface ClaimedRelease {
  readonly policy: string;
  /** Fingerprint of the adapter, 32 bytes. */
  readonly adapterFingerprint: Uint8Array;
  /** Milliseconds since 1970. */
  readonly claimedMs: number;
}

export class ReleaseRecords {
  readonly #releases: string;

  /** @param directory the owner's */
  constructor(directory: string) {
    this.#releases = join(directory, 'releases');
  }

  /** Where the release with this counter is kept. */
  path(counter: number): string {
    return join(this.#releases, `${counter}.tgr`);
  }

  /**
   * Claims the next counter: one above all that were ever claimed, whatever became of them. On the disk when this returns.
   *
   * @throws ParameterError `release.no-counter-left`
   */
  async claim(release: ClaimedRelease): Promise<number> {
    await createPrivateDirectory(this.#releases);
    for (let counter = (await this.#lastCounter()) + 1; counter <= MAX_COUNTER; counter += 1) {
      const document = {
        format: 'tensorguard-native release claim',
        counter,
        policy: release.policy,
        adapterFingerprint: hex(release.adapterFingerprint),
        claimedMs: release.claimedMs,
      };
      if (await this.#createClaim(counter, `${JSON.stringify(document, null, 2)}\n`)) return counter;
    }
    throw new ParameterError(
      'release.no-counter-left',
      `All counters up to ${MAX_COUNTER} are used. The fleet needs a new owner.`,
    );
  }

  /**
   * Keeps a release under the counter that was claimed for it, whole or not at all.
   *
   * @throws what the file system says; `EEXIST` where there is one
   */
  async keep(release: EncodedContainer<'release'>): Promise<string> {
    const path = this.path(release.envelope.body.counter);
    await writeEncodedContainer(path, release, { mode: 0o600, exclusive: true });
    return path;
  }

  /**
   * The releases of a policy, in order of their counters, each verified as the owner's.
   *
   * @throws FormatError, VerificationError `container.*` for a file that is damaged or another's
   */
  async released(roster: TrustedRoster, policy: string): Promise<ReleaseBody[]> {
    const found: ReleaseBody[] = [];
    for (const name of (await this.#names()).filter((entry) => RELEASE_FILE.test(entry))) {
      const container = await openContainer(join(this.#releases, name), 'release');
      try {
        requireSameFleet(roster, container.body.fleet, 'release');
        await container.verify(roster.body.owner.keys, roster.body.signatureAlgorithms);
        if (container.body.policy === policy) found.push(container.body);
      } finally {
        await container.close();
      }
    }
    return found.sort((a, b) => a.counter - b.counter);
  }

  async #createClaim(counter: number, document: string): Promise<boolean> {
    try {
      await replaceFile(join(this.#releases, `${counter}.json`), document, { mode: 0o600, exclusive: true });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
  }

  async #lastCounter(): Promise<number> {
    const counters = (await this.#names()).map((name) => Number(RECORD.exec(name)?.[1] ?? 0));
    return counters.reduce((a, b) => Math.max(a, b), 0);
  }

  async #names(): Promise<string[]> {
    try {
      return await readdir(this.#releases);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }
}
