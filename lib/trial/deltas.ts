/** Deltas of adapters, tensor by tensor, read beside the package's own sealing and opening. */
import { loadPeftAdapter } from '../adapter/peft.js';
import type { SafetensorsReader } from '../adapter/safetensors-reader.js';

/** What robots have trained, and what they began with: directories of adapters. */
export interface TrainedAdapters {
  readonly base: string;
  readonly trained: readonly string[];
}

export interface TensorDeltas {
  /** Of each robot, as it was trained. */
  readonly trained: readonly Float32Array[];
  /** Of the adapter that the round opened. */
  readonly opened: Float32Array;
}

/** Reads the deltas of one tensor of `count` coordinates. */
export type ReadDeltas = (name: string, count: number) => Promise<TensorDeltas>;

async function read(tensors: SafetensorsReader, name: string, count: number): Promise<Float32Array> {
  const values = new Float32Array(count);
  await tensors.readTensor(name, values);
  return values;
}

/** @param average directory of the adapter that the round opened: the base plus the averaged delta */
export async function withDeltas<T>(
  data: TrainedAdapters,
  average: string,
  work: (deltas: ReadDeltas) => Promise<T>,
): Promise<T> {
  const readers: SafetensorsReader[] = [];
  try {
    for (const path of [data.base, average, ...data.trained]) {
      readers.push((await loadPeftAdapter(path)).tensors);
    }
    const [base, opened, ...trained] = readers as [
      SafetensorsReader,
      SafetensorsReader,
      ...SafetensorsReader[],
    ];
    return await work(async (name, count) => {
      const start = await read(base, name, count);
      const less = async (tensors: SafetensorsReader): Promise<Float32Array> => {
        const values = await read(tensors, name, count);
        for (let i = 0; i < count; i += 1) values[i] = (values[i] as number) - (start[i] as number);
        return values;
      };
      return { opened: await less(opened), trained: await Promise.all(trained.map(less)) };
    });
  } finally {
    for (const reader of readers) await reader.close();
  }
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
