/** Safetensors files put together by hand, so that tests can break each rule by itself. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A file from a header text and a data section, with the true length in front unless another is given. */
export function fileOf(
  header: string | Uint8Array,
  data: Uint8Array = new Uint8Array(0),
  lengthBytes?: bigint,
): Buffer {
  const headerBytes = typeof header === 'string' ? Buffer.from(header, 'utf8') : Buffer.from(header);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(lengthBytes ?? BigInt(headerBytes.length));
  return Buffer.concat([prefix, headerBytes, data]);
}

export function floatBytes(...values: number[]): Buffer {
  return Buffer.from(Float32Array.from(values).buffer);
}

/** A tensor's header member. */
export function member(
  name: string,
  dtype: string,
  shape: readonly number[],
  begin: number,
  end: number,
): string {
  return `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":[${begin},${end}]}`;
}

/** Runs `use` with a fresh directory, and removes it afterwards. */
export async function withDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'tensorguard-adapter-'));
  try {
    return await use(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Runs `use` with the path of a temporary file that holds `bytes`. */
export async function withFile<T>(bytes: Uint8Array, use: (path: string) => Promise<T>): Promise<T> {
  return withDirectory(async (directory) => {
    const path = join(directory, 'vector.safetensors');
    await writeFile(path, bytes);
    return use(path);
  });
}
