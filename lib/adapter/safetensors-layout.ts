/**
 * Decides where tensors lie in a safetensors file, and encodes the header that says so.
 */
import { FormatError, ParameterError } from '../errors.js';
import { quoteName } from './json-cursor.js';
import { LENGTH_PREFIX_BYTES, METADATA_KEY, type TensorEntry } from './safetensors-header.js';
import {
  compareBytewise,
  countElements,
  DTYPE_SIZE_BYTES,
  type TensorDtype,
  type TensorInfo,
} from './tensor-info.js';

export interface EncodedHeader {
  /** The length, the JSON, and spaces up to a multiple of 8. */
  readonly bytes: Uint8Array;
  /** The tensors in the order in which their bytes follow. */
  readonly entries: readonly TensorEntry[];
  readonly dataSizeBytes: number;
}

/** The reference's order of data: widest first, so that each tensor is aligned, then by name. */
const DTYPE_FILE_ORDER: readonly TensorDtype[] = ['F32', 'BF16', 'F16'];

/**
 * Lays tensors out and encodes their header, as the reference implementation does: the same tensors
 * give the same bytes.
 *
 * @throws ParameterError `safetensors.duplicate-name`, `safetensors.name-invalid`,
 *   `safetensors.metadata-invalid`; FormatError as {@link countElements}
 */
export function encodeSafetensorsHeader(
  tensors: readonly Pick<TensorInfo, 'name' | 'dtype' | 'shape'>[],
  metadata: ReadonlyMap<string, string>,
): EncodedHeader {
  const sorted = [...tensors].sort(
    (a, b) =>
      DTYPE_FILE_ORDER.indexOf(a.dtype) - DTYPE_FILE_ORDER.indexOf(b.dtype) ||
      compareBytewise(a.name, b.name),
  );
  const names = new Set<string>();
  const entries: TensorEntry[] = [];
  let offset = 0;
  for (const { name, dtype, shape } of sorted) {
    if (name === METADATA_KEY || /\p{Surrogate}/u.test(name)) {
      throw new ParameterError('safetensors.name-invalid', `A tensor cannot be called ${quoteName(name)}.`);
    }
    if (names.has(name)) {
      throw new ParameterError('safetensors.duplicate-name', `Two tensors are called ${quoteName(name)}.`);
    }
    names.add(name);
    const elementCount = countElements(name, shape);
    const endBytes = offset + elementCount * DTYPE_SIZE_BYTES[dtype];
    if (!Number.isSafeInteger(endBytes)) {
      throw new FormatError(
        'safetensors.shape-overflow',
        'The tensors together are larger than a file can be.',
      );
    }
    entries.push({ name, dtype, shape: [...shape], elementCount, beginBytes: offset, endBytes });
    offset = endBytes;
  }

  const members: string[] = [];
  if (metadata.size > 0) {
    const pairs = [...metadata].sort(([a], [b]) => compareBytewise(a, b));
    for (const text of pairs.flat()) {
      if (/\p{Surrogate}/u.test(text)) {
        throw new ParameterError(
          'safetensors.metadata-invalid',
          `Metadata ${quoteName(text)} has no UTF-8 form.`,
        );
      }
    }
    const body = pairs.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',');
    members.push(`${JSON.stringify(METADATA_KEY)}:{${body}}`);
  }
  for (const { name, dtype, shape, beginBytes, endBytes } of entries) {
    members.push(
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":[${beginBytes},${endBytes}]}`,
    );
  }
  const json = Buffer.from(`{${members.join(',')}}`, 'utf8');
  const lengthBytes = Math.ceil(json.length / 8) * 8;
  const bytes = Buffer.alloc(LENGTH_PREFIX_BYTES + lengthBytes, ' ');
  bytes.writeBigUInt64LE(BigInt(lengthBytes), 0);
  json.copy(bytes, LENGTH_PREFIX_BYTES);
  return { bytes, entries, dataSizeBytes: offset };
}
