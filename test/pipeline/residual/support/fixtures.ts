/** Small residuals, and a look at what a store holds. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ResidualShape } from '../../../../lib/pipeline/residual/residual-format.js';
import type { ResidualStore } from '../../../../lib/pipeline/residual/residual-store.js';
import { bytes32 } from '../../../custody/support/bytes.js';

/** `count` values of policy "pick" under schema "schema 1". */
export function shapeOf(count: number, policy = 'pick', schema = 'schema 1'): ResidualShape {
  return { policy, schemaKey: bytes32(schema), valueCount: count };
}

/** Writes `values` as the change of the update that `name` stands for. */
export async function writeChange(
  store: ResidualStore,
  name: string,
  values: readonly number[],
  policy = 'pick',
  schema = 'schema 1',
): Promise<void> {
  await store.writeChange(bytes32(name), shapeOf(values.length, policy, schema), (sink) =>
    sink.append(Float32Array.from(values)),
  );
}

/** The committed values; undefined for zero. */
export async function committedValues(
  store: ResidualStore,
  count: number,
  policy = 'pick',
  schema = 'schema 1',
): Promise<number[] | undefined> {
  const reader = await store.openCommitted(policy, bytes32(schema), count);
  if (reader === undefined) return undefined;
  const values = new Float32Array(count);
  try {
    await reader.read(0, values);
  } finally {
    await reader.close();
  }
  return [...values];
}

/** Every file below `root`, by its path from there, without the lock. */
export async function filesOf(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .filter((name) => name !== 'store.lock')
    .sort();
}

/** As the store names the change of the update that `name` stands for. */
export function changeName(name: string): string {
  return `pending/${Buffer.from(bytes32(name)).toString('hex')}.change`;
}
