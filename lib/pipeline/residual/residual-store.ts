/**
 * The error-feedback residuals of a client on its disk: for each policy what earlier rounds lost by clipping,
 * subsampling and quantization, and goes into the next one (Karimireddy et al. 2019).
 *
 *   <root>/<policy>.residual                 the committed residual; absent = zero
 *   <root>/pending/<fingerprint>.change      delta - (what was sent, before noise), of an update not closed yet
 *
 * A seal stores a change rather than the new residual, so that those of several open rounds add up in any
 * order. Whether an update was opened or released is in the client's record of its claims, not here: after a
 * crash at any point the caller asks that record about each of `pending()`, and calls `commit` or `discard`
 * again. Between replacing the committed file and removing the change a crash would have it added twice; so
 * the committed file names the updates in it whose change may still be there.
 *
 * The values are secret: they are what a robot has learned.
 */

import { randomBytes } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { resolve } from 'node:path';
import { withDirectoryLock } from '../../durable/directory-lock.js';
import { createPrivateDirectory, errorCode } from '../../durable/private-files.js';
import { TensorGuardError, VerificationError } from '../../errors.js';
import { syncDirectory, writeFileAtomically } from '../../files.js';
import { type ResidualFile, ResidualPass } from './residual-file.js';
import {
  type ResidualShape,
  requireFingerprint,
  requirePolicy,
  requireSchemaKey,
  requireShape,
} from './residual-format.js';
import { ResidualReader } from './residual-reader.js';
import { otherValueCount, storageFailed } from './residual-refusals.js';
import { writeSum } from './residual-sum.js';
import type { ResidualSink } from './residual-writer.js';
import { StagedChange } from './staged-change.js';
import { StoreFiles } from './store-files.js';

const ABANDONED_AFTER_MS = 3_600_000;

/**
 * What `commit` found. 'absent' says that there is no change of this update and that no committed residual
 * names it: it never had one, was discarded, or was committed and followed by another.
 */
export type CommitOutcome = 'committed' | 'already-committed' | 'absent';

/** Errors of every method: EnvironmentError `storage.failed`, `storage.permissions`, `storage.symlink`. */
export class ResidualStore {
  private constructor(
    private readonly root: string,
    private readonly files: StoreFiles,
  ) {}

  /**
   * Opens the store in `root`, creating its directories (mode 0700) where they are missing, removes what a
   * crash left, and finishes the commits that it interrupted. A file that cannot be trusted is left alone and
   * reported when it is used.
   *
   * @throws EnvironmentError `storage.busy`, `storage.*`
   */
  static async open(root: string): Promise<ResidualStore> {
    const directory = resolve(root);
    const files = new StoreFiles(directory);
    const store = new ResidualStore(directory, files);
    await store.translated(() => createPrivateDirectory(directory));
    await store.translated(() => createPrivateDirectory(files.pendingDirectory));
    await store.locked(() => store.recover());
    return store;
  }

  /**
   * The committed residual of a policy, all of it checked against its digest. The caller closes the reader.
   *
   * @param schemaKey 32 bytes that name the adapter's schema and the list of sent tensors
   * @returns undefined for zero: there is none, or it has another schema key
   * @throws VerificationError `residual.corrupt`; RefusedError `residual.value-count`; ParameterError
   *   `residual.bad-argument`
   */
  async openCommitted(
    policy: string,
    schemaKey: Uint8Array,
    valueCount: number,
  ): Promise<ResidualReader | undefined> {
    requireShape({ policy, schemaKey, valueCount });
    const file = await this.files.openCommitted(policy);
    if (file === undefined) return undefined;
    try {
      await file.verify();
      if (sameBytes(file.header.schemaKey, schemaKey)) {
        if (file.header.valueCount !== valueCount) {
          throw otherValueCount(policy, file.header.valueCount, valueCount);
        }
        return new ResidualReader(file);
      }
    } catch (error) {
      await file.close();
      throw error;
    }
    await file.close();
    return undefined;
  }

  /**
   * The Euclidean norm of the committed residual of a policy; undefined for zero, as `openCommitted` has it.
   *
   * @throws VerificationError `residual.corrupt`; ParameterError `residual.bad-argument`
   */
  async norm(policy: string, schemaKey: Uint8Array): Promise<number | undefined> {
    requirePolicy(policy);
    requireSchemaKey(schemaKey);
    const file = await this.files.openCommitted(policy);
    if (file === undefined) return undefined;
    const pass = new ResidualPass(file);
    try {
      let squares = 0;
      for (let values = await pass.next(); values !== undefined; values = await pass.next()) {
        for (let i = 0; i < values.length; i += 1) squares += (values[i] as number) ** 2;
      }
      return sameBytes(file.header.schemaKey, schemaKey) ? Math.sqrt(squares) : undefined;
    } finally {
      pass.dispose();
      await file.close();
    }
  }

  /**
   * Writes a change before its update has a fingerprint. The caller publishes it under that, or discards it.
   *
   * @param write appends `shape.valueCount` finite values, delta - (what is sent, before noise), in order;
   *   what it throws is passed on, and nothing is left behind
   * @throws FormatError `residual.non-finite`; ParameterError `residual.bad-argument`, `residual.value-count`,
   *   `residual.append-overlap`
   */
  async stageChange(
    shape: ResidualShape,
    write: (sink: ResidualSink) => Promise<void>,
  ): Promise<StagedChange> {
    requireShape(shape);
    return StagedChange.stage(this.files.pendingDirectory, shape, write);
  }

  /**
   * Stages and publishes a change of an update (32 bytes), as `stageChange` and `StagedChange.publish` do;
   * on the disk when this returns.
   */
  async writeChange(
    update: Uint8Array,
    shape: ResidualShape,
    write: (sink: ResidualSink) => Promise<void>,
  ): Promise<void> {
    requireFingerprint(update);
    await (await this.stageChange(shape, write)).publish(update);
  }

  /**
   * Adds the change of an update (32 bytes), which the owner's close record lists, to the committed residual
   * of its policy, and removes it; on the disk when this returns. Called again, it finishes what a crash or
   * an error interrupted, and adds nothing twice. A committed residual of another schema key is replaced.
   *
   * @throws VerificationError `residual.corrupt`; FormatError `residual.non-finite`; RefusedError
   *   `residual.value-count`; EnvironmentError `storage.busy`; ParameterError `residual.bad-argument`.
   *   But for `storage.failed`, after which either may be the case, nothing was changed.
   */
  async commit(update: Uint8Array): Promise<CommitOutcome> {
    requireFingerprint(update);
    return this.locked(async () => {
      const change = await this.files.openChange(update);
      if (change === undefined) return this.outcomeWithoutChange(update);
      try {
        const committed = await this.files.openCommitted(change.header.policy);
        try {
          return await this.add(committed, change, update);
        } finally {
          await committed?.close();
        }
      } finally {
        await change.close();
      }
    });
  }

  /**
   * Removes the change of an update (32 bytes), which the owner's close record does not list, or which never
   * left the client. Its file is not read, so that a corrupt one goes too.
   *
   * @returns whether there was one
   * @throws EnvironmentError `storage.busy`; ParameterError `residual.bad-argument`
   */
  async discard(update: Uint8Array): Promise<boolean> {
    requireFingerprint(update);
    return this.locked(() => this.files.removeChange(update));
  }

  /**
   * Removes the change of an update that nobody recorded, if it is an hour old: until then a seal that is under way may
   * still record it.
   */
  async discardAbandoned(update: Uint8Array): Promise<boolean> {
    requireFingerprint(update);
    return this.locked(async () => {
      const writtenMs = await this.files.changeWrittenMs(update);
      if (writtenMs === undefined || Date.now() - writtenMs < ABANDONED_AFTER_MS) return false;
      return this.files.removeChange(update);
    });
  }

  /**
   * Removes all changes of a policy, and those that cannot be trusted, whatever became of their updates; returns how many.
   *
   * @throws EnvironmentError `storage.busy`; ParameterError `residual.bad-argument`
   */
  async discardAll(policy: string): Promise<number> {
    requirePolicy(policy);
    return this.locked(async () => {
      let removed = 0;
      for (const update of await this.files.pending()) {
        const change = await this.files.openChange(update).catch(ignoreCorrupt);
        await change?.close();
        if (change !== undefined && change.header.policy !== policy) continue;
        if (await this.files.removeChange(update)) removed += 1;
      }
      return removed;
    });
  }

  /** The fingerprints, 32 bytes each and in bytewise order, of the updates whose change is here. */
  async pending(): Promise<Uint8Array[]> {
    return this.translated(() => this.files.pending());
  }

  /**
   * Starts the residual of a policy from zero, whatever its file holds: renames that aside, and never deletes
   * it. Changes that are pending stay, and add to zero.
   *
   * @returns where the file is now, or undefined if there was none
   * @throws EnvironmentError `storage.busy`; ParameterError `residual.bad-argument`
   */
  async reset(policy: string): Promise<string | undefined> {
    requirePolicy(policy);
    return this.locked(async () => {
      const path = this.files.committedPath(policy);
      const aside = `${path}.set-aside-${randomBytes(6).toString('hex')}`;
      try {
        await rename(path, aside);
      } catch (error) {
        if (errorCode(error) === 'ENOENT') return undefined;
        throw error;
      }
      await syncDirectory(this.root);
      return aside;
    });
  }

  private async add(
    committed: ResidualFile | undefined,
    change: ResidualFile,
    update: Uint8Array,
  ): Promise<CommitOutcome> {
    if (committed?.includes(update)) {
      // The change is the only other copy: it goes once the file that contains it has proven whole.
      await committed.verify();
      await this.files.removeChange(update);
      return 'already-committed';
    }
    const { policy, schemaKey, valueCount } = change.header;
    const continues = committed !== undefined && sameBytes(committed.header.schemaKey, schemaKey);
    if (committed !== undefined && !continues) {
      // A flipped bit in the key must not pass for a change of schema, and drop the residual. Nor one in the change.
      await committed.verify();
    }
    if (continues && committed.header.valueCount !== valueCount) {
      await committed.verify();
      await change.verify();
      throw otherValueCount(policy, committed.header.valueCount, valueCount);
    }
    const updates = [...(await this.files.stillPending(committed?.updates ?? [])), update];
    const path = this.files.committedPath(policy);
    await writeFileAtomically(
      path,
      (out) => writeSum(out, path, continues ? committed : undefined, change, updates),
      { mode: 0o600 },
    );
    await this.files.removeChange(update);
    return 'committed';
  }

  private async outcomeWithoutChange(update: Uint8Array): Promise<CommitOutcome> {
    for (const policy of await this.files.policies()) {
      // The answer changes nothing, and another policy's bad file is none of this update's business.
      const file = await this.files.openCommitted(policy).catch(ignoreOurs);
      await file?.close();
      if (file?.includes(update)) return 'already-committed';
    }
    return 'absent';
  }

  private async recover(): Promise<void> {
    await this.files.removeOrphans();
    for (const policy of await this.files.policies()) {
      await this.finishCommits(policy).catch(ignoreOurs);
    }
  }

  private async finishCommits(policy: string): Promise<void> {
    const file = await this.files.openCommitted(policy);
    if (file === undefined) return;
    try {
      const finished = await this.files.stillPending(file.updates);
      if (finished.length > 0) await file.verify();
      for (const update of finished) await this.files.removeChange(update);
    } finally {
      await file.close();
    }
  }

  private async locked<T>(body: () => Promise<T>): Promise<T> {
    return this.translated(() => withDirectoryLock(this.root, body));
  }

  private async translated<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      throw storageFailed(this.root, error);
    }
  }
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

function ignoreCorrupt(error: unknown): undefined {
  if (!(error instanceof VerificationError)) throw error;
}

function ignoreOurs(error: unknown): undefined {
  if (!(error instanceof TensorGuardError)) throw error;
}
