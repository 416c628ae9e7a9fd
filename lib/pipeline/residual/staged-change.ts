/** A change whose update has no fingerprint yet: computed before the update is encrypted, named after. */
import { join } from 'node:path';
import { errorCode } from '../../durable/private-files.js';
import { type ResidualShape, requireFingerprint } from './residual-format.js';
import { changeExists, stagedOver, storageFailed } from './residual-refusals.js';
import { type ResidualSink, ResidualWriter } from './residual-writer.js';
import { StagedFile } from './staged-file.js';

/** Where the change of an update lies in the directory of the pending ones. */
export function changePath(directory: string, update: Uint8Array): string {
  return join(directory, `${Buffer.from(update).toString('hex')}.change`);
}

export class StagedChange {
  private over = false;

  private constructor(
    private readonly directory: string,
    private readonly staged: StagedFile,
    private readonly writer: ResidualWriter,
  ) {}

  /** For the store, which says what is thrown. */
  static async stage(
    directory: string,
    shape: ResidualShape,
    write: (sink: ResidualSink) => Promise<void>,
  ): Promise<StagedChange> {
    let staged: StagedFile;
    try {
      staged = await StagedFile.create(directory);
    } catch (error) {
      throw storageFailed(directory, error);
    }
    let writer: ResidualWriter | undefined;
    try {
      writer = await ResidualWriter.begin(staged.file, staged.path, {
        ...shape,
        kind: 'change',
        updateCount: 1,
      });
      await write(writer);
      await writer.endValues();
      return new StagedChange(directory, staged, writer);
    } catch (error) {
      await staged.remove().catch(() => undefined);
      throw error;
    } finally {
      writer?.dispose();
    }
  }

  /**
   * Makes this the change of the update with this fingerprint (32 bytes); on the disk when this returns.
   * After an error nothing is left, and the change has to be staged again.
   *
   * @throws RefusedError `residual.change-exists`; EnvironmentError `storage.failed`; ParameterError
   *   `residual.bad-argument`, `residual.stage-over`
   */
  async publish(update: Uint8Array): Promise<void> {
    requireFingerprint(update);
    if (this.over) throw stagedOver();
    this.over = true;
    const path = changePath(this.directory, update);
    try {
      await this.writer.end([update]);
      await this.staged.publish(path);
    } catch (error) {
      await this.staged.remove().catch(() => undefined);
      throw errorCode(error) === 'EEXIST' ? changeExists(path) : storageFailed(path, error);
    }
  }

  /** Removes what was staged; nothing once it was published, so that it may stand in a `finally`. */
  async discard(): Promise<void> {
    if (this.over) return;
    this.over = true;
    try {
      await this.staged.remove();
    } catch (error) {
      throw storageFailed(this.directory, error);
    }
  }
}
