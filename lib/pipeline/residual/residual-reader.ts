/** A committed residual whose digest was checked, for reading tensor by tensor. */
import { ParameterError } from '../../errors.js';
import type { ResidualFile } from './residual-file.js';

export class ResidualReader {
  readonly valueCount: number;

  /** Not for callers: the store checks the whole file first. */
  constructor(private readonly file: ResidualFile) {
    this.valueCount = file.header.valueCount;
  }

  /**
   * Fills `out` with the values from `offset` on. What is read is the residual as it was when the reader was
   * opened, whatever is committed meanwhile. The caller wipes `out` after use.
   *
   * @throws ParameterError `residual.out-of-range`; VerificationError `residual.corrupt`; EnvironmentError
   *   `storage.failed`
   */
  async read(offset: number, out: Float32Array): Promise<void> {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + out.length > this.valueCount) {
      throw new ParameterError(
        'residual.out-of-range',
        `The residual has ${this.valueCount} values; ${out.length} from ${offset} on are not all among them.`,
      );
    }
    await this.file.readValues(offset, out);
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}
