/** Directories as a test finds and leaves them. */

import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { expect } from 'chai';
import { adapterValues, type ExpectedAverage } from './adapters.js';

/**
 * Every path below a directory; empty where it does not exist. SQLite's own side files are left out: they go when the
 * garbage collector finishes a closed database's last statement, whenever that is.
 */
export async function pathsBelow(directory: string): Promise<string[]> {
  if (!existsSync(directory)) return [];
  const paths = await readdir(directory, { recursive: true });
  return paths.filter((path) => !/\.sqlite-(wal|shm)$/.test(path)).sort();
}

/** The adapter in `directory` is `expected`, to the bit: all of it, or the tensors that are named. */
export async function expectAverage(
  directory: string,
  expected: ExpectedAverage,
  names?: readonly string[],
): Promise<void> {
  const found = await adapterValues(directory);
  expect([...(names ?? found.keys())].sort()).to.deep.equal([...expected.tensors.keys()].sort());
  for (const [name, values] of expected.tensors) {
    expect(Buffer.from((found.get(name) as Float32Array).buffer), name).to.deep.equal(
      Buffer.from(values.buffer),
    );
  }
}
