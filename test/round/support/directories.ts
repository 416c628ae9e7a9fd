/** Directories as a test finds and leaves them. */

import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { expect } from 'chai';
import { adapterValues } from './adapters.js';

/**
 * Every path below a directory; empty where it does not exist. SQLite's own side files are left out: they go when the
 * garbage collector finishes a closed database's last statement, whenever that is.
 */
export async function pathsBelow(directory: string): Promise<string[]> {
  if (!existsSync(directory)) return [];
  const paths = await readdir(directory, { recursive: true });
  return paths.filter((path) => !/\.sqlite-(wal|shm)$/.test(path)).sort();
}

/** The adapter in `directory` has exactly these tensors, to the bit. */
export async function expectTensors(
  directory: string,
  expected: ReadonlyMap<string, Float32Array>,
): Promise<void> {
  const found = await adapterValues(directory);
  expect([...found.keys()].sort()).to.deep.equal([...expected.keys()].sort());
  for (const [name, values] of expected) {
    expect(Buffer.from((found.get(name) as Float32Array).buffer), name).to.deep.equal(
      Buffer.from(values.buffer),
    );
  }
}
