/**
 * The directory that a site's robots and its gateway share: `PLAN/UPDATE.tgu`, both in hexadecimal. It needs no protection but
 * what keeps files there: updates are sealed and signed, and whoever can write can only withhold.
 */
import { createReadStream } from 'node:fs';
import { access, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../durable/private-files.js';
import { TensorGuardError } from '../../errors.js';
import { writeFileAtomically } from '../../files.js';
import { openContainer } from '../../package/reader.js';

const PLAN = /^[0-9a-f]{64}$/;
const UPDATE = /^[0-9a-f]{64}\.tgu$/;

export interface SiteUpdate {
  /** 64 hexadecimal digits, as the file is named. */
  readonly update: string;
  /** As its header says, which nobody has verified yet; undefined where it cannot be read. */
  readonly client: string | undefined;
  readonly path: string;
  readonly writtenMs: number;
}

export class SiteUpdates {
  constructor(private readonly directory: string) {}

  /** Puts a robot's update there, whole or not at all. Once it is there it stays as it is. */
  async deliver(plan: string, update: string, from: string): Promise<void> {
    const path = this.#path(plan, update);
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (isThere) return;
    await writeFileAtomically(path, async (file) => {
      for await (const bytes of createReadStream(from)) await file.writeFile(bytes as Buffer);
    });
  }

  /** One update of each client, by their fingerprints: one of `kept`, or the one that came last. */
  async list(plan: string, kept: ReadonlySet<string>): Promise<readonly SiteUpdate[]> {
    const names = await readdir(join(this.directory, plan)).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return [];
      throw error;
    });
    const chosen = new Map<string, SiteUpdate>();
    for (const name of names.filter((each) => UPDATE.test(each)).sort()) {
      const update = name.slice(0, 64);
      const path = this.#path(plan, update);
      const { mtimeMs: writtenMs } = await stat(path);
      const found = { update, client: await clientOf(path), path, writtenMs };
      const key = found.client ?? update;
      const other = chosen.get(key);
      const isPreferred = kept.has(update) || (other !== undefined && other.writtenMs <= writtenMs);
      if (other === undefined || (isPreferred && !kept.has(other.update))) chosen.set(key, found);
    }
    return [...chosen.values()].sort((a, b) => (a.update < b.update ? -1 : 1));
  }

  /** Plans that have a directory here. */
  async plans(): Promise<readonly string[]> {
    const names = await readdir(this.directory).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return [];
      throw error;
    });
    return names.filter((name) => PLAN.test(name));
  }

  async remove(plan: string): Promise<void> {
    if (PLAN.test(plan)) await rm(join(this.directory, plan), { recursive: true, force: true });
  }

  #path(plan: string, update: string): string {
    return join(this.directory, plan, `${update}.tgu`);
  }
}

async function clientOf(path: string): Promise<string | undefined> {
  try {
    const container = await openContainer(path, 'update');
    await container.close();
    return container.body.client;
  } catch (error) {
    // The sum says what is wrong with it.
    if (error instanceof TensorGuardError) return undefined;
    throw error;
  }
}
