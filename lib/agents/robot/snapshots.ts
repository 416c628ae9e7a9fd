/**
 * What a robot has to send: copies of the adapters that its trainer finished, each with the adapter that training started
 * from. A delta that was sealed may have to be sealed again, against the same base, when the trainer's directory has long
 * held another: with another base it would be another delta, and two averages with one training in both give it away.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { TrainingFacts } from '../../adapter/training-metadata.js';
import { hex } from '../../custody/fields.js';
import { errorCode } from '../../durable/private-files.js';
import { RefusedError } from '../../errors.js';
import { adapterFingerprint } from '../../package/messages/release.js';
import { measureAdapter } from '../../round/release/adapter-files.js';
import { type AgentDirectory, readRecord, writeRecord } from '../agent-directory.js';
import { fingerprintSchema } from '../api/work-items.js';
import { KeptAdapters } from './kept-adapters.js';

const SNAPSHOT_NAME = /^(\d{12})-[0-9a-f]{16}$/;
const SEQUENCE_DIGITS = 12;
const SNAPSHOT_FILE = 'snapshot.json';
const TRAINING_FILE = 'training.json';
const LAST_FILE = 'last-snapshot.json';
/** Beside those that snapshots need: training may go on from an earlier release for a while. */
const BASES_KEPT = 8;

const snapshotSchema = z.strictObject({
  format: z.literal('tensorguard-native snapshot'),
  adapter: fingerprintSchema,
  /** SHA-256 of the base's tensors; absent where the adapter itself is the delta. */
  base: fingerprintSchema.optional(),
  takenMs: z.int().min(0),
});
const lastSchema = z.strictObject({ sequence: z.int().min(0), adapter: fingerprintSchema });

export interface Snapshot {
  readonly name: string;
  readonly sequence: number;
  /** The adapter's directory. */
  readonly adapter: string;
  readonly base: string | undefined;
  /** The training's facts, as `readTrainingMetadata` reads a user's own file. */
  readonly training: string;
}

export interface SnapshotRequest {
  /** The trainer's directory. */
  readonly from: string;
  /** Of the base, as {@link Snapshots.keepBase} named it; absent where there is none. */
  readonly base: string | undefined;
  readonly training: Pick<TrainingFacts, 'training' | 'safety' | 'experts' | 'compatibility'>;
  readonly takenMs: number;
  /** Whether `from` is still what was looked at, once it is copied. */
  readonly isStill: () => Promise<boolean>;
}

export class Snapshots {
  private constructor(
    private readonly directory: AgentDirectory,
    private readonly kept: KeptAdapters,
    private readonly bases: KeptAdapters,
  ) {}

  static async open(directory: AgentDirectory): Promise<Snapshots> {
    return new Snapshots(
      directory,
      await KeptAdapters.open(await directory.below('snapshots')),
      await KeptAdapters.open(await directory.below('bases')),
    );
  }

  /**
   * Copies an adapter. The one that was taken last is not taken again.
   *
   * @returns undefined where nothing was taken: it is the last one, or it changed meanwhile
   * @throws RefusedError `robot.unknown-base`
   */
  async take(request: SnapshotRequest): Promise<Snapshot | undefined> {
    const { base } = request;
    if (base !== undefined && !(await this.bases.names()).some((name) => baseOf(name) === base)) {
      throw new RefusedError(
        'robot.unknown-base',
        `Training says that it started from the adapter ${base}, which this robot has not kept: it is none of its last ` +
          'releases, nor the one of --base. Train from the current release.',
      );
    }
    const last = await this.#last();
    const sequence = (last?.sequence ?? 0) + 1;
    let adapter = '';
    const name = await this.kept.add(request.from, async (copy) => {
      adapter = hex(adapterFingerprint(await measureAdapter(copy)));
      if (adapter === last?.adapter || !(await request.isStill())) return undefined;
      const { training, safety, experts, compatibility } = request.training;
      await writeRecord(join(copy, TRAINING_FILE), { training, safety, experts, compatibility });
      const { takenMs } = request;
      const format = 'tensorguard-native snapshot';
      await writeRecord(join(copy, SNAPSHOT_FILE), { format, adapter, base, takenMs });
      return `${String(sequence).padStart(SEQUENCE_DIGITS, '0')}-${adapter.slice(0, 16)}`;
    });
    if (name === undefined) return undefined;
    // A crash before this takes the same adapter once more, which sealing refuses.
    await writeRecord(join(this.directory.path, LAST_FILE), { sequence, adapter });
    return this.#read(name);
  }

  /** The newest first. One whose base or record somebody removed is removed as well: nothing can be made of it. */
  async list(): Promise<Snapshot[]> {
    const snapshots: Snapshot[] = [];
    for (const name of (await this.kept.names()).filter((each) => SNAPSHOT_NAME.test(each)).reverse()) {
      const snapshot = await this.#read(name);
      if (snapshot === undefined) await this.remove(name);
      else snapshots.push(snapshot);
    }
    return snapshots;
  }

  async remove(name: string): Promise<void> {
    await this.kept.remove(name);
  }

  /** Keeps a copy of an adapter that training may start from. @returns SHA-256 of its tensors, in hexadecimal */
  async keepBase(adapter: string): Promise<string> {
    const { tensors } = await measureAdapter(adapter);
    const names = await this.bases.names();
    const known = names.find((name) => baseOf(name) === hex(tensors.digest));
    if (known !== undefined) return baseOf(known);
    const sequence = Number(names.at(-1)?.slice(0, SEQUENCE_DIGITS) ?? 0) + 1;
    const name = await this.bases.add(adapter, async (copy) => {
      const copied = hex((await measureAdapter(copy)).tensors.digest);
      return `${String(sequence).padStart(SEQUENCE_DIGITS, '0')}-${copied}`;
    });
    await this.#forgetBases();
    return baseOf(name ?? '');
  }

  async #forgetBases(): Promise<void> {
    const needed = new Set((await this.list()).map(({ base }) => base));
    for (const name of (await this.bases.names()).slice(0, -BASES_KEPT)) {
      if (!needed.has(this.bases.path(name))) await this.bases.remove(name);
    }
  }

  async #last(): Promise<z.infer<typeof lastSchema> | undefined> {
    const recorded = await readRecord(join(this.directory.path, LAST_FILE), lastSchema);
    const newest = (await this.kept.names()).findLast((name) => SNAPSHOT_NAME.test(name));
    const sequence = Number(newest?.slice(0, SEQUENCE_DIGITS) ?? 0);
    // A crash fell between the snapshot and its record.
    if (newest === undefined || sequence <= (recorded?.sequence ?? 0)) return recorded;
    const record = await this.#record(newest);
    return record && { sequence, adapter: record.adapter };
  }

  #record(name: string): Promise<z.infer<typeof snapshotSchema> | undefined> {
    return readRecord(join(this.kept.path(name), SNAPSHOT_FILE), snapshotSchema);
  }

  async #read(name: string): Promise<Snapshot | undefined> {
    const record = await this.#record(name);
    if (record === undefined) return undefined;
    const { base } = record;
    const baseName =
      base === undefined ? undefined : (await this.bases.names()).find((each) => baseOf(each) === base);
    // Against another base it would be another delta.
    if (base !== undefined && baseName === undefined) return undefined;
    return {
      name,
      sequence: Number(name.slice(0, SEQUENCE_DIGITS)),
      adapter: this.kept.path(name),
      base: baseName === undefined ? undefined : this.bases.path(baseName),
      training: join(this.kept.path(name), TRAINING_FILE),
    };
  }
}

function baseOf(name: string): string {
  return name.slice(SEQUENCE_DIGITS + 1);
}

/** Whether an adapter lies in a directory. */
export async function holdsAdapter(directory: string): Promise<boolean> {
  try {
    await readFile(join(directory, 'adapter_config.json'));
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return false;
    throw error;
  }
}
