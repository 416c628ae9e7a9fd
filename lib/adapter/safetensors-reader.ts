/**
 * Reads safetensors files a tensor at a time, so that a file may be larger than memory.
 */
import type { FileHandle } from 'node:fs/promises';
import { endianness } from 'node:os';
import { FormatError, ParameterError } from '../errors.js';
import { refuseNonFinite } from './finite-values.js';
import { decodeHalves } from './float-formats.js';
import { quoteName } from './json-cursor.js';
import { openRegularFile } from './regular-file.js';
import {
  LENGTH_PREFIX_BYTES,
  parseSafetensorsHeader,
  type SafetensorsHeader,
  type TensorEntry,
} from './safetensors-header.js';
import type { TensorInfo } from './tensor-info.js';

/**
 * Room for some 100,000 tensors. The reference implementation stops at 100,000,000 bytes, sized for
 * checkpoints of whole models; an adapter's header has a few kilobytes.
 */
export const DEFAULT_MAX_HEADER_BYTES = 16 * 1024 * 1024;

/** How much of a 16-bit tensor is staged at a time while it is widened. */
const STAGING_BYTES = 1024 * 1024;

/** Linux reads at most 2^31 - 4096 bytes a call. */
const MAX_READ_BYTES = 1024 * 1024 * 1024;

const BIG_ENDIAN_HOST = endianness() === 'BE';

export interface SafetensorsReadOptions {
  /** Largest header that is read into memory; {@link DEFAULT_MAX_HEADER_BYTES} unless told. */
  readonly maxHeaderBytes?: number;
  /**
   * What a NaN or an infinity in a tensor does. `refuse` (the default) throws: one of them in one
   * update would poison the average for the whole fleet, and nobody could tell whose it was.
   */
  readonly nonFinite?: 'refuse' | 'allow';
}

export class SafetensorsReader {
  /** Tensor names in the bytewise order of their UTF-8 form: the order that everything else uses. */
  readonly names: readonly string[];
  readonly metadata: ReadonlyMap<string, string>;

  /** Not for callers: {@link openSafetensors} checks the file first. */
  constructor(
    readonly path: string,
    private readonly file: FileHandle,
    private readonly header: SafetensorsHeader,
    private readonly dataOffsetBytes: number,
    private readonly nonFinite: 'refuse' | 'allow',
  ) {
    this.names = [...header.entries.keys()];
    this.metadata = header.metadata;
  }

  /** @throws ParameterError `safetensors.tensor-unknown` */
  info(name: string): TensorInfo {
    const { dtype, shape, elementCount } = this.entry(name);
    return { name, dtype, shape, elementCount };
  }

  /**
   * Reads a tensor into the caller's array, row-major, widened to float32 (exact for all three dtypes).
   *
   * @param out exactly `info(name).elementCount` elements; its content is unspecified after an error
   * @throws ParameterError `safetensors.tensor-unknown`, `safetensors.out-length`; FormatError
   *   `safetensors.non-finite` (tensor and index named), `safetensors.file-changed`
   */
  async readTensor(name: string, out: Float32Array): Promise<void> {
    const entry = this.entry(name);
    if (out.length !== entry.elementCount) {
      throw new ParameterError(
        'safetensors.out-length',
        `Tensor ${quoteName(name)} has ${entry.elementCount} elements; the array for it has ${out.length}.`,
      );
    }
    if (entry.dtype === 'F32') await this.readSingles(entry, out);
    else await this.readHalves(entry, entry.dtype, out);
    if (this.nonFinite === 'refuse') refuseNonFinite(name, out);
  }

  async close(): Promise<void> {
    await this.file.close();
  }

  private entry(name: string): TensorEntry {
    const entry = this.header.entries.get(name);
    if (entry === undefined) {
      throw new ParameterError(
        'safetensors.tensor-unknown',
        `${this.path} has no tensor ${quoteName(name)}.`,
      );
    }
    return entry;
  }

  private async readSingles(entry: TensorEntry, out: Float32Array): Promise<void> {
    const bytes = Buffer.from(out.buffer, out.byteOffset, out.byteLength);
    await readExactly(this.file, bytes, this.dataOffsetBytes + entry.beginBytes, this.path);
    if (BIG_ENDIAN_HOST) bytes.swap32();
  }

  private async readHalves(entry: TensorEntry, format: 'F16' | 'BF16', out: Float32Array): Promise<void> {
    const staging = new Uint16Array(Math.min(STAGING_BYTES / 2, entry.elementCount));
    for (let done = 0; done < entry.elementCount; done += staging.length) {
      const part = staging.subarray(0, Math.min(staging.length, entry.elementCount - done));
      const bytes = Buffer.from(part.buffer, 0, part.byteLength);
      await readExactly(this.file, bytes, this.dataOffsetBytes + entry.beginBytes + done * 2, this.path);
      if (BIG_ENDIAN_HOST) bytes.swap16();
      decodeHalves(format, part, out, done);
    }
  }
}

async function readExactly(
  file: FileHandle,
  into: Buffer,
  positionBytes: number,
  path: string,
): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const length = Math.min(into.length - done, MAX_READ_BYTES);
    const { bytesRead } = await file.read(into, done, length, positionBytes + done);
    if (bytesRead === 0) {
      throw new FormatError('safetensors.file-changed', `${path} became shorter while it was read.`);
    }
    done += bytesRead;
  }
}

/**
 * Opens a safetensors file and checks its whole header; the tensors' bytes are not touched yet.
 * The caller closes the reader.
 *
 * @throws FormatError `safetensors.*` for anything wrong with the file, `adapter.not-a-file`;
 *   EnvironmentError `adapter.file-missing`, `adapter.file-unreadable`
 */
export async function openSafetensors(
  path: string,
  options: SafetensorsReadOptions = {},
): Promise<SafetensorsReader> {
  const maxHeaderBytes = options.maxHeaderBytes ?? DEFAULT_MAX_HEADER_BYTES;
  const { file, sizeBytes } = await openRegularFile(path);
  try {
    if (sizeBytes < LENGTH_PREFIX_BYTES) {
      throw new FormatError(
        'safetensors.too-short',
        `${path} has ${sizeBytes} bytes; a safetensors file begins with ${LENGTH_PREFIX_BYTES} bytes of length.`,
      );
    }
    const prefix = Buffer.alloc(LENGTH_PREFIX_BYTES);
    await readExactly(file, prefix, 0, path);
    // Compared as a 64-bit integer: rounded to a double, 2^64 - 1 and its neighbours are one number.
    const claimed = prefix.readBigUInt64LE(0);
    if (claimed > BigInt(maxHeaderBytes)) {
      throw new FormatError(
        'safetensors.header-too-large',
        `${path} claims a header of ${claimed} bytes; at most ${maxHeaderBytes} are read. It is hardly an adapter.`,
      );
    }
    if (claimed > BigInt(sizeBytes - LENGTH_PREFIX_BYTES)) {
      throw new FormatError(
        'safetensors.header-beyond-file',
        `${path} claims a header of ${claimed} bytes and has ${sizeBytes} in all. The file is cut short or no safetensors file.`,
      );
    }
    const headerBytes = Buffer.alloc(Number(claimed));
    await readExactly(file, headerBytes, LENGTH_PREFIX_BYTES, path);
    const dataOffsetBytes = LENGTH_PREFIX_BYTES + headerBytes.length;
    const header = parseSafetensorsHeader(headerBytes, sizeBytes - dataOffsetBytes, path);
    return new SafetensorsReader(path, file, header, dataOffsetBytes, options.nonFinite ?? 'refuse');
  } catch (error) {
    await file.close();
    throw error;
  }
}
