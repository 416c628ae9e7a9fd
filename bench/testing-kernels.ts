/** The kernels one by one, from the testing addon; it is built beside the shipped one and never packed. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { packageRoot } from '../lib/native.js';
import type { Absent } from './measure.js';

export interface TestingKernels {
  /** `words` keystream words of one ring element; the kernel computes them for all lanes, and keeps one. */
  keystream(instructionSet: string, key: Uint8Array, element: number, words: number): Uint32Array;
  /** INTT(x) of one polynomial, in every lane. */
  nttInverse(instructionSet: string, set: number, evaluations: Uint32Array): Uint32Array;
  /** Pointwise product of one pair, in every lane. */
  multiply(instructionSet: string, set: number, a: Uint32Array, b: Uint32Array): Uint32Array;
}

export function loadTestingKernels(): TestingKernels | Absent {
  const path = join(packageRoot(), 'build', 'testing', 'tensorguard_testing.node');
  if (!existsSync(path)) {
    return { absent: 'the testing addon is not in build/testing; "npm run build" in a checkout makes it' };
  }
  try {
    return createRequire(import.meta.url)(path) as TestingKernels;
  } catch (error) {
    return {
      absent: `the testing addon did not load: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}
