/**
 * Writes safetensors files a tensor at a time; the same tensors give the bytes that the reference
 * implementation gives.
 */
import type { FileHandle } from 'node:fs/promises';
import { endianness } from 'node:os';
import { ParameterError } from '../errors.js';
import { type AtomicWriteOptions, writeFileAtomically } from '../files.js';
import { refuseNonFinite } from './finite-values.js';
import { encodeHalves } from './float-formats.js';
import { quoteName } from './json-cursor.js';
import type { TensorEntry } from './safetensors-header.js';
import { encodeSafetensorsHeader } from './safetensors-layout.js';
import type { TensorDtype } from './tensor-info.js';

/** How much of a tensor is converted at a time. */
const STAGING_ELEMENTS = 512 * 1024;

const BIG_ENDIAN_HOST = endianness() === 'BE';

export interface TensorToWrite {
  readonly name: string;
  /** What the values are stored as. F16 and BF16 round half to even. */
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  /**
   * The values, row-major, or a function that fills an array of exactly the tensor's element count.
   * The array is reused from tensor to tensor, so its previous content is arbitrary.
   */
  readonly data: Float32Array | ((out: Float32Array) => void | Promise<void>);
}

export interface SafetensorsWriteOptions extends AtomicWriteOptions {
  /** `refuse` (the default) throws on a NaN or an infinity; `allow` stores it. */
  readonly nonFinite?: 'refuse' | 'allow';
}

/**
 * Writes `tensors` to `path`: all of it, or (after an error or a crash) nothing.
 *
 * Tensors lie in the file by dtype (F32, BF16, F16), then by name, whatever the order given. A finite
 * value that rounds to infinity in the tensor's dtype is refused, whatever `nonFinite` says: a silent
 * infinity is a wrong adapter.
 *
 * @throws ParameterError `safetensors.data-length`, `safetensors.overflow` (tensor and index named),
 *   `safetensors.duplicate-name`, `safetensors.name-invalid`, `safetensors.metadata-invalid`;
 *   FormatError `safetensors.non-finite`, `safetensors.shape-invalid`, `safetensors.shape-overflow`
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  metadata: Readonly<Record<string, string>> = {},
  options: SafetensorsWriteOptions = {},
): Promise<void> {
  const header = encodeSafetensorsHeader(tensors, new Map(Object.entries(metadata)));
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor.data]));
  for (const { name, elementCount } of header.entries) {
    const data = byName.get(name);
    if (data instanceof Float32Array && data.length !== elementCount) {
      throw new ParameterError(
        'safetensors.data-length',
        `Tensor ${quoteName(name)} needs ${elementCount} values and was given ${data.length}.`,
      );
    }
  }

  let scratch = new Float32Array(0);
  await writeFileAtomically(
    path,
    async (file) => {
      await writeFully(file, header.bytes);
      for (const entry of header.entries) {
        const data = byName.get(entry.name);
        let values: Float32Array;
        if (data instanceof Float32Array) values = data;
        else {
          if (scratch.length < entry.elementCount) scratch = new Float32Array(entry.elementCount);
          values = scratch.subarray(0, entry.elementCount);
          await data?.(values);
        }
        if (options.nonFinite !== 'allow') refuseNonFinite(entry.name, values);
        await writeValues(file, entry, values);
      }
    },
    options,
  );
}

async function writeValues(file: FileHandle, entry: TensorEntry, values: Float32Array): Promise<void> {
  for (let done = 0; done < values.length; done += STAGING_ELEMENTS) {
    const part = values.subarray(done, Math.min(done + STAGING_ELEMENTS, values.length));
    if (entry.dtype === 'F32') {
      const bytes = Buffer.from(part.buffer, part.byteOffset, part.byteLength);
      await writeFully(file, BIG_ENDIAN_HOST ? Buffer.from(bytes).swap32() : bytes);
      continue;
    }
    const halves = new Uint16Array(part.length);
    const overflow = encodeHalves(entry.dtype, part, halves);
    if (overflow >= 0) {
      throw new ParameterError(
        'safetensors.overflow',
        `Tensor ${quoteName(entry.name)} holds ${part[overflow]} at index ${done + overflow}, too large for ${entry.dtype}. Write it as F32.`,
      );
    }
    const bytes = Buffer.from(halves.buffer);
    await writeFully(file, BIG_ENDIAN_HOST ? bytes.swap16() : bytes);
  }
}

/** `FileHandle.write` may write less than it was given. */
async function writeFully(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done);
    done += bytesWritten;
  }
}
