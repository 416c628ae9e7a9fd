/**
 * The schema of an adapter: which tensors it has, whatever their values. Updates can be summed only
 * when all their adapters have the same one, so a plan names its fingerprint.
 */
import { createHash } from 'node:crypto';
import type { SafetensorsReader } from './safetensors-reader.js';
import { compareBytewise, type TensorDtype } from './tensor-info.js';

export interface TensorSchema {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: TensorDtype;
}

const SCHEMA_LABEL = Buffer.from('tensorguard-native v1 adapter schema\0', 'utf8');

/** The tensors of an open adapter in canonical order: bytewise by UTF-8 name. */
export function adapterSchema(reader: Pick<SafetensorsReader, 'names' | 'info'>): TensorSchema[] {
  return reader.names.map((name) => {
    const { shape, dtype } = reader.info(name);
    return { name, shape: [...shape], dtype };
  });
}

/**
 * The fingerprint of a schema, 32 bytes: SHA-256 over
 *
 *     "tensorguard-native v1 adapter schema" || 0x00 || u32 tensor count ||
 *     per tensor, bytewise by name:
 *       u32 length || UTF-8 name || u32 length || ASCII dtype ("F32", "F16", "BF16") ||
 *       u32 rank || u64 dimension, outermost first
 *
 * with little-endian integers. Each part has its length in front, so that no two schemas give the same
 * input. The order of `schema` does not matter.
 */
export function adapterSchemaFingerprint(schema: readonly TensorSchema[]): Uint8Array {
  const hash = createHash('sha256').update(SCHEMA_LABEL).update(u32(schema.length));
  for (const { name, shape, dtype } of [...schema].sort((a, b) => compareBytewise(a.name, b.name))) {
    for (const text of [name, dtype]) {
      const bytes = Buffer.from(text, 'utf8');
      hash.update(u32(bytes.length)).update(bytes);
    }
    hash.update(u32(shape.length));
    for (const dimension of shape) {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(BigInt(dimension));
      hash.update(bytes);
    }
  }
  return hash.digest();
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
