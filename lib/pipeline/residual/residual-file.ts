/** Reads one residual file: its header at once, its values a piece at a time, proven by the digest at the end. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { errorCode, requirePrivateFile } from '../../durable/private-files.js';
import type { VerificationError } from '../../errors.js';
import {
  DIGEST_BYTES,
  FINGERPRINT_BYTES,
  HEADER_BYTES,
  parseHeader,
  type ResidualHeader,
  type ResidualKind,
  updatesOffset,
} from './residual-format.js';
import { corrupt, storageFailed } from './residual-refusals.js';
import { bytesOf, PIECE_VALUES, readExactly, swapIfBigEndian } from './value-pieces.js';

export class ResidualFile {
  private constructor(
    readonly path: string,
    /** Not proven before a whole pass has ended. */
    readonly header: ResidualHeader,
    /** Fingerprints, 32 bytes each; not proven either. */
    readonly updates: readonly Uint8Array[],
    private readonly file: FileHandle,
    /** Header and fingerprints as they were read, and are used: what a pass proves. */
    readonly headerBytes: Buffer,
    readonly updateBytes: Buffer,
  ) {}

  /**
   * Opens a file and checks its length against its header. The caller closes it.
   *
   * @returns undefined if there is none
   * @throws VerificationError `residual.corrupt`; EnvironmentError `storage.permissions`, `storage.symlink`,
   *   `storage.failed`
   */
  static async open(path: string, kind: ResidualKind): Promise<ResidualFile | undefined> {
    let file: FileHandle;
    try {
      await requirePrivateFile(path);
      file = await open(path, 'r');
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw storageFailed(path, error);
    }
    try {
      return await ResidualFile.read(path, kind, file);
    } catch (error) {
      await file.close();
      throw storageFailed(path, error);
    }
  }

  private static async read(path: string, kind: ResidualKind, file: FileHandle): Promise<ResidualFile> {
    const { size } = await file.stat();
    const headerBytes = Buffer.alloc(HEADER_BYTES);
    if (!(await readExactly(file, headerBytes, 0))) throw corrupt(path, kind, `it has ${size} bytes only`);
    const header = parseHeader(headerBytes, kind, size);
    if (typeof header === 'string') throw corrupt(path, kind, header);
    const updateBytes = Buffer.alloc(header.updateCount * FINGERPRINT_BYTES);
    if (!(await readExactly(file, updateBytes, updatesOffset(header)))) {
      throw corrupt(path, kind, 'it became shorter while it was read');
    }
    const updates = Array.from({ length: header.updateCount }, (_, i) =>
      Uint8Array.from(updateBytes.subarray(i * FINGERPRINT_BYTES, (i + 1) * FINGERPRINT_BYTES)),
    );
    return new ResidualFile(path, header, updates, file, headerBytes, updateBytes);
  }

  includes(update: Uint8Array): boolean {
    return this.updates.some((other) => Buffer.compare(other, update) === 0);
  }

  /** @throws VerificationError `residual.corrupt` */
  async verify(): Promise<void> {
    const pass = new ResidualPass(this);
    try {
      while ((await pass.next()) !== undefined);
    } finally {
      pass.dispose();
    }
  }

  /** Fills `out` with the values from `offset` on, which the caller has checked to lie in the file. */
  async readValues(offset: number, out: Float32Array): Promise<void> {
    const bytes = bytesOf(out);
    await this.fill(bytes, HEADER_BYTES + offset * Float32Array.BYTES_PER_ELEMENT);
    swapIfBigEndian(bytes);
  }

  /** For {@link ResidualPass}. */
  async fill(into: Buffer, positionBytes: number): Promise<void> {
    let whole: boolean;
    try {
      whole = await readExactly(this.file, into, positionBytes);
    } catch (error) {
      throw storageFailed(this.path, error);
    }
    if (!whole) throw this.corrupt('it became shorter while it was read');
  }

  /** For {@link ResidualPass}: the digest as it is on the disk. */
  async storedDigest(): Promise<Buffer> {
    const digest = Buffer.alloc(DIGEST_BYTES);
    await this.fill(digest, updatesOffset(this.header) + this.updateBytes.length);
    return digest;
  }

  corrupt(detail: string): VerificationError {
    return corrupt(this.path, this.header.kind, detail);
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}

/** One reading of all values of a file, first to last, that ends with the proof that they are what was written. */
export class ResidualPass {
  private readonly hash = createHash('sha256');
  private readonly piece: Float32Array<ArrayBuffer>;
  private done = 0;

  constructor(private readonly source: ResidualFile) {
    this.piece = new Float32Array(Math.min(PIECE_VALUES, source.header.valueCount));
    this.hash.update(source.headerBytes);
  }

  /**
   * The next values, at most `PIECE_VALUES` of them, in an array that is valid until the next call; or
   * undefined at the end, and then all that came before was what was written.
   *
   * @throws VerificationError `residual.corrupt`; EnvironmentError `storage.failed`
   */
  async next(): Promise<Float32Array | undefined> {
    const left = this.source.header.valueCount - this.done;
    if (left === 0) {
      const digest = this.hash.update(this.source.updateBytes).digest();
      if (!timingSafeEqual(digest, await this.source.storedDigest())) {
        throw this.source.corrupt('its digest does not match its content');
      }
      return undefined;
    }
    const values = this.piece.subarray(0, Math.min(left, this.piece.length));
    const bytes = bytesOf(values);
    await this.source.fill(bytes, HEADER_BYTES + this.done * Float32Array.BYTES_PER_ELEMENT);
    this.hash.update(bytes);
    swapIfBigEndian(bytes);
    this.done += values.length;
    return values;
  }

  /** Wipes the values that this object holds. */
  dispose(): void {
    this.piece.fill(0);
  }
}
