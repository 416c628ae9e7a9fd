/** Writes one residual file, a piece at a time, into a file that the caller has opened and will sync. */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { ParameterError } from '../../errors.js';
import { encodeHeader, type ResidualHeader } from './residual-format.js';
import { nonFiniteValue, storageFailed, wrongAppendCount } from './residual-refusals.js';
import { bytesOf, firstNonFinite, PIECE_VALUES, swapIfBigEndian, writeFully } from './value-pieces.js';

/** Takes the values of a residual in their order, in arrays of any length. */
export interface ResidualSink {
  /**
   * Copies `values`, which the caller may reuse when the promise settles. One call at a time.
   *
   * @throws FormatError `residual.non-finite`; ParameterError `residual.value-count` (more than announced),
   *   `residual.append-overlap`; EnvironmentError `storage.failed`
   */
  append(values: Float32Array): Promise<void>;
}

export class ResidualWriter implements ResidualSink {
  private readonly hash = createHash('sha256');
  private readonly piece: Float32Array<ArrayBuffer>;
  private staged = 0;
  private appended = 0;
  private appending = false;

  private constructor(
    private readonly file: FileHandle,
    private readonly path: string,
    private readonly header: ResidualHeader,
  ) {
    this.piece = new Float32Array(Math.min(PIECE_VALUES, header.valueCount));
  }

  /**
   * Begins an empty file. `dispose` when done, whatever happens.
   *
   * @param path for messages
   * @throws ParameterError `residual.bad-argument`; EnvironmentError `storage.failed`
   */
  static async begin(file: FileHandle, path: string, header: ResidualHeader): Promise<ResidualWriter> {
    const bytes = encodeHeader(header);
    const writer = new ResidualWriter(file, path, header);
    await writer.emit(bytes);
    return writer;
  }

  async append(values: Float32Array): Promise<void> {
    // Two calls at once would interleave their values without a trace.
    if (this.appending) {
      throw new ParameterError(
        'residual.append-overlap',
        'Values were appended to a residual while earlier ones were being written. Await each call.',
      );
    }
    const bad = firstNonFinite(values);
    if (bad >= 0) throw nonFiniteValue(this.appended + bad);
    if (this.appended + values.length > this.header.valueCount) {
      throw wrongAppendCount(this.appended + values.length, this.header.valueCount);
    }
    this.appending = true;
    try {
      for (let done = 0; done < values.length; ) {
        const count = Math.min(values.length - done, this.piece.length - this.staged);
        this.piece.set(values.subarray(done, done + count), this.staged);
        done += count;
        this.staged += count;
        this.appended += count;
        if (this.staged === this.piece.length) await this.flush();
      }
    } finally {
      this.appending = false;
    }
  }

  /** Writes what is staged. @throws ParameterError `residual.value-count` if values are missing */
  async endValues(): Promise<void> {
    if (this.appended !== this.header.valueCount) {
      throw wrongAppendCount(this.appended, this.header.valueCount);
    }
    await this.flush();
    this.piece.fill(0);
  }

  /** Ends the file, after `endValues`, with as many fingerprints as the header says, 32 bytes each. */
  async end(updates: readonly Uint8Array[]): Promise<void> {
    await this.emit(Buffer.concat(updates));
    await this.write(this.hash.digest());
  }

  /** Wipes the values that this object holds. */
  dispose(): void {
    this.piece.fill(0);
  }

  private async flush(): Promise<void> {
    const bytes = bytesOf(this.piece.subarray(0, this.staged));
    this.staged = 0;
    swapIfBigEndian(bytes);
    await this.emit(bytes);
  }

  private async emit(bytes: Uint8Array): Promise<void> {
    this.hash.update(bytes);
    await this.write(bytes);
  }

  private async write(bytes: Uint8Array): Promise<void> {
    try {
      await writeFully(this.file, bytes);
    } catch (error) {
      throw storageFailed(this.path, error);
    }
  }
}
