/**
 * What the trainer writes: an adapter directory that is looked at until it holds still.
 *
 * A trainer may say that it is done by `tensorguard.json`, written last; without it, the files count as whole once nothing
 * about them has changed for a while.
 */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ADAPTER_CONFIG_FILE, ADAPTER_TENSORS_FILE } from '../../adapter/peft.js';
import { errorCode } from '../../durable/private-files.js';
import { readRecord } from '../agent-directory.js';
import { fingerprintSchema } from '../api/work-items.js';

export const MARKER_FILE = 'tensorguard.json';

const markerSchema = z.strictObject({
  /** SHA-256 of the `adapter_model.safetensors` that training started from, as `sha256sum` prints it. */
  base: fingerprintSchema.optional(),
});
export type Marker = z.infer<typeof markerSchema>;

export interface AdapterSourceOptions {
  readonly directory: string;
  /** How long nothing may have changed where no marker says that the trainer is done. */
  readonly quietMs: number;
  /** Milliseconds that only grow. */
  readonly now?: () => number;
}

/** An adapter that held still. */
export interface StableAdapter {
  /** Changes with every change of the files. */
  readonly signature: string;
  /** Whether the trainer's marker belongs to it. */
  readonly isMarked: boolean;
}

interface Look {
  readonly signature: string;
  readonly atMs: number;
}

interface FileLook {
  readonly sizeBytes: bigint;
  readonly mtimeNs: bigint;
  readonly inode: bigint;
}

export class AdapterSource {
  readonly directory: string;
  readonly #quietMs: number;
  readonly #now: () => number;
  /** The first look at the files as they are. */
  #first: Look | undefined;

  constructor({ directory, quietMs, now = () => performance.now() }: AdapterSourceOptions) {
    this.directory = directory;
    this.#quietMs = quietMs;
    this.#now = now;
  }

  /** @returns undefined where there is no adapter, or one that may still be being written */
  async look(): Promise<StableAdapter | undefined> {
    const config = await lookAt(join(this.directory, ADAPTER_CONFIG_FILE));
    const tensors = await lookAt(join(this.directory, ADAPTER_TENSORS_FILE));
    if (config === undefined || tensors === undefined) return undefined;
    const marker = await lookAt(join(this.directory, MARKER_FILE));
    const signature = [config, tensors, marker].map(describe).join(' ');
    if (this.#first?.signature !== signature) this.#first = { signature, atMs: this.#now() };
    // A marker that is older than a file is of the adapter before.
    const isMarked =
      marker !== undefined && marker.mtimeNs >= config.mtimeNs && marker.mtimeNs >= tensors.mtimeNs;
    if (!isMarked && this.#now() - this.#first.atMs < this.#quietMs) return undefined;
    return { signature, isMarked };
  }

  /** What the trainer says of an adapter. @throws FormatError `agent.record-malformed` */
  async marker({ isMarked }: StableAdapter): Promise<Marker | undefined> {
    return isMarked ? readRecord(join(this.directory, MARKER_FILE), markerSchema) : undefined;
  }

  /** Whether the files are still those that were looked at. */
  async isStill({ signature }: StableAdapter): Promise<boolean> {
    await this.look();
    return this.#first?.signature === signature;
  }
}

async function lookAt(path: string): Promise<FileLook | undefined> {
  try {
    const { size, mtimeNs, ino } = await lstat(path, { bigint: true });
    return { sizeBytes: size, mtimeNs, inode: ino };
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

function describe(look: FileLook | undefined): string {
  return look === undefined ? '-' : `${look.sizeBytes}:${look.mtimeNs}:${look.inode}`;
}
