/**
 * `agent/` in a role's directory: the lock under which one agent works there, what it remembers, and files that it is in the
 * middle of. Nothing in it decides what is safe: that is for the role's own records (client state, ledger, owner's records).
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { withDirectoryLock } from '../durable/directory-lock.js';
import { createPrivateDirectory, errorCode } from '../durable/private-files.js';
import { FormatError } from '../errors.js';
import { replaceFile } from '../files.js';

const DIRECTORY = 'agent';
const TEMPORARY = 'tmp';

export class AgentDirectory {
  private constructor(readonly path: string) {}

  /**
   * Runs `body` as the only agent of a role's directory. What an earlier one was in the middle of is removed first.
   *
   * @throws EnvironmentError `storage.busy` where another agent has been running for two minutes; `storage.*`
   */
  static async use<T>(roleDirectory: string, body: (directory: AgentDirectory) => Promise<T>): Promise<T> {
    const path = join(roleDirectory, DIRECTORY);
    await createPrivateDirectory(path);
    return withDirectoryLock(path, async () => {
      const directory = new AgentDirectory(path);
      await rm(join(path, TEMPORARY), { recursive: true, force: true });
      return body(directory);
    });
  }

  /** A directory below, made if need be. */
  async below(name: string): Promise<string> {
    const path = join(this.path, name);
    await createPrivateDirectory(path);
    return path;
  }

  /** Runs `body` with an empty directory, which is removed afterwards, or at the next start. */
  async withTemporary<T>(body: (directory: string) => Promise<T>): Promise<T> {
    const directory = await mkdtemp(join(await this.below(TEMPORARY), 'work-'));
    try {
      return await body(directory);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
}

/** @returns undefined where there is no such file. @throws FormatError `agent.record-malformed` */
export async function readRecord<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (cause) {
    throw new FormatError(
      'agent.record-malformed',
      `${path} is damaged, or another version's. Move it away: the agent goes on without it.`,
      { cause },
    );
  }
}

/** Bytes are written in hexadecimal. On the disk when it resolves. */
export async function writeRecord(path: string, value: unknown): Promise<void> {
  const text = JSON.stringify(
    value,
    (_key, each: unknown) => (each instanceof Uint8Array ? Buffer.from(each).toString('hex') : each),
    2,
  );
  await replaceFile(path, `${text}\n`, { mode: 0o600 });
}
