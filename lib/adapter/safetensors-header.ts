/**
 * Parses the header of a safetensors file.
 *
 * A file is an 8-byte little-endian length, a JSON header of that length, and the tensors' bytes,
 * little-endian and row-major (github.com/huggingface/safetensors, "Format"). What the header claims
 * is checked completely here, before anything is allocated from a number that stands in it.
 */
import { FormatError } from '../errors.js';
import { JsonCursor, quoteName } from './json-cursor.js';
import {
  compareBytewise,
  countElements,
  DTYPE_SIZE_BYTES,
  isDtype,
  MAX_RANK,
  type TensorInfo,
} from './tensor-info.js';

/** Bytes of the length in front of the header. */
export const LENGTH_PREFIX_BYTES = 8;

/** The one key of a header that is not a tensor. */
export const METADATA_KEY = '__metadata__';

/** A tensor and where its bytes lie, counted from the end of the header. */
export interface TensorEntry extends TensorInfo {
  readonly beginBytes: number;
  readonly endBytes: number;
}

export interface SafetensorsHeader {
  /** By name, in the bytewise order of the UTF-8 names. */
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: ReadonlyMap<string, string>;
}

function jsonCursor(text: string, source: string): JsonCursor {
  return new JsonCursor(text, (problem, detail) =>
    problem === 'duplicate-key'
      ? new FormatError('safetensors.duplicate-key', `The header of ${source} is ambiguous: ${detail}.`)
      : new FormatError(
          'safetensors.header-json',
          `The header of ${source} is not what it should be: ${detail}.`,
        ),
  );
}

function readShape(cursor: JsonCursor, name: string): number[] {
  const shape: number[] = [];
  cursor.array(() => {
    // Refused here, not after the array: a header may be one shape of millions of dimensions.
    if (shape.length === MAX_RANK) {
      throw new FormatError(
        'safetensors.shape-invalid',
        `Tensor ${quoteName(name)} has more than ${MAX_RANK} dimensions.`,
      );
    }
    shape.push(cursor.unsignedInteger());
  });
  return shape;
}

function readOffsets(cursor: JsonCursor, name: string): [number, number] {
  const offsets: number[] = [];
  cursor.array(() => {
    if (offsets.length === 2) {
      throw new FormatError(
        'safetensors.offsets-invalid',
        `Tensor ${quoteName(name)} has more than two data_offsets.`,
      );
    }
    offsets.push(cursor.unsignedInteger());
  });
  const [begin, end] = offsets;
  if (begin === undefined || end === undefined) {
    throw new FormatError('safetensors.offsets-invalid', `Tensor ${quoteName(name)} needs two data_offsets.`);
  }
  return [begin, end];
}

function readEntry(cursor: JsonCursor, name: string, dataSizeBytes: number): TensorEntry {
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: [number, number] | undefined;
  cursor.object((field) => {
    if (field === 'dtype') dtype = cursor.string();
    else if (field === 'shape') shape = readShape(cursor, name);
    else if (field === 'data_offsets') offsets = readOffsets(cursor, name);
    else {
      throw new FormatError(
        'safetensors.unknown-field',
        `Tensor ${quoteName(name)} has a field ${quoteName(field)}; only dtype, shape and data_offsets are defined.`,
      );
    }
  });
  if (dtype === undefined || shape === undefined || offsets === undefined) {
    throw new FormatError(
      'safetensors.missing-field',
      `Tensor ${quoteName(name)} needs each of dtype, shape and data_offsets.`,
    );
  }
  if (!isDtype(dtype)) {
    throw new FormatError(
      'safetensors.dtype-unsupported',
      `Tensor ${quoteName(name)} has dtype ${quoteName(dtype)}; adapters are read in F32, F16 and BF16. Save it in one of these.`,
    );
  }
  const elementCount = countElements(name, shape);
  const [beginBytes, endBytes] = offsets;
  if (beginBytes > endBytes) {
    throw new FormatError(
      'safetensors.offsets-invalid',
      `Tensor ${quoteName(name)} ends (${endBytes}) before it begins (${beginBytes}).`,
    );
  }
  if (endBytes > dataSizeBytes) {
    throw new FormatError(
      'safetensors.offsets-beyond-file',
      `Tensor ${quoteName(name)} ends at byte ${endBytes} of the data, of which the file has ${dataSizeBytes}. The file is cut short or damaged.`,
    );
  }
  const sizeBytes = elementCount * DTYPE_SIZE_BYTES[dtype];
  if (endBytes - beginBytes !== sizeBytes) {
    throw new FormatError(
      'safetensors.size-mismatch',
      `Tensor ${quoteName(name)}, ${dtype} [${shape.join(', ')}], needs ${sizeBytes} bytes and claims ${endBytes - beginBytes}.`,
    );
  }
  return { name, dtype, shape, elementCount, beginBytes, endBytes };
}

function readMetadata(cursor: JsonCursor, source: string): Map<string, string> {
  const metadata = new Map<string, string>();
  try {
    cursor.object((key) => metadata.set(key, cursor.string()));
  } catch (error) {
    if (!(error instanceof FormatError) || error.code !== 'safetensors.header-json') throw error;
    throw new FormatError(
      'safetensors.metadata-invalid',
      `${METADATA_KEY} of ${source} maps strings to strings and nothing else. ${error.message}`,
      { cause: error },
    );
  }
  return metadata;
}

/** No byte of the data may belong to two tensors, or to none: either would let one file mean two things. */
function checkCoverage(entries: readonly TensorEntry[], dataSizeBytes: number, source: string): void {
  const inFileOrder = [...entries].sort((a, b) => a.beginBytes - b.beginBytes || a.endBytes - b.endBytes);
  let covered = 0;
  for (const { name, beginBytes, endBytes } of inFileOrder) {
    if (beginBytes < covered) {
      throw new FormatError(
        'safetensors.overlap',
        `Tensor ${quoteName(name)} of ${source} begins at byte ${beginBytes}, inside the tensor before it, which ends at ${covered}.`,
      );
    }
    if (beginBytes > covered) {
      throw new FormatError(
        'safetensors.hole',
        `Bytes ${covered} to ${beginBytes} of ${source}, before tensor ${quoteName(name)}, belong to no tensor.`,
      );
    }
    covered = endBytes;
  }
  if (covered !== dataSizeBytes) {
    throw new FormatError(
      'safetensors.trailing-bytes',
      `${source} has ${dataSizeBytes - covered} bytes after its last tensor.`,
    );
  }
}

/**
 * Parses and checks a header.
 *
 * @param header the bytes between the length and the data, padding included
 * @param dataSizeBytes how many bytes follow the header in the file
 * @param source what the file is called in messages
 * @throws FormatError `safetensors.*`: nothing about the header is taken on trust
 */
export function parseSafetensorsHeader(
  header: Uint8Array,
  dataSizeBytes: number,
  source: string,
): SafetensorsHeader {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header);
  } catch (error) {
    throw new FormatError('safetensors.header-encoding', `The header of ${source} is not UTF-8.`, {
      cause: error,
    });
  }
  if (!text.startsWith('{')) {
    throw new FormatError('safetensors.header-json', `The header of ${source} does not begin with '{'.`);
  }
  const cursor = jsonCursor(text, source);
  const entries: TensorEntry[] = [];
  let metadata = new Map<string, string>();
  cursor.object((key) => {
    if (key === METADATA_KEY) metadata = readMetadata(cursor, source);
    else entries.push(readEntry(cursor, key, dataSizeBytes));
  });
  cursor.end();
  checkCoverage(entries, dataSizeBytes, source);
  entries.sort((a, b) => compareBytewise(a.name, b.name));
  return { entries: new Map(entries.map((entry) => [entry.name, entry])), metadata };
}
