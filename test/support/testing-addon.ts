/**
 * The conformance build of the native kernels: every single step on every instruction set, and encryption
 * with fixed randomness. It is built beside the shipped addon and never packed; the shipped one has no seam of
 * this kind. Its functions are synchronous and take the instruction set's name first.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A run of ring elements of one width, by its numbers. */
export interface TestingFormat {
  readonly set: number;
  readonly wireBits: number;
  readonly plaintextBits: number;
  readonly fieldBits: number;
  readonly fold: number;
  /** Index of the first ring element among those of the update; here any, gaps and overlaps included. */
  readonly firstElement: number;
}

export interface TestingSegment extends TestingFormat {
  readonly valueCount: number;
  /** Largest |value| that is accepted. */
  readonly valueBound: number;
}

export interface TestingEncryption {
  /** Back to back in `values` and in the ciphertext; of one parameter set. */
  readonly segments: readonly TestingSegment[];
  readonly maskKey: Uint8Array;
  readonly planFingerprint: Uint8Array;
  /** 80 bytes that stand for the operating system's randomness, the PRF key and the message digest. */
  readonly hedge: Uint8Array;
  readonly threshold: number;
  readonly custodians: number;
  readonly values: Int32Array;
  readonly threads: number;
}

/** One segment's aggregate. */
export interface TestingOpening extends TestingFormat {
  readonly maskKey: Uint8Array;
  /** The sum of secrets over the integers, n words. */
  readonly secretSum: Int32Array;
  readonly aggregate: Uint8Array;
  readonly valueCount: number;
  readonly threads: number;
}

export interface TestingAddon {
  /** Instruction sets that this machine runs, `scalar` first. */
  isas(): string[];
  keystream(isa: string, key: Uint8Array, element: number, words: number): Uint32Array;
  /** Element-major, [elements][n], in [0, q). */
  sampleUniform(
    isa: string,
    set: number,
    key: Uint8Array,
    firstElement: number,
    elements: number,
  ): Uint32Array;
  /** Element-major, [elements][n], in -16..16. */
  sampleSmall(isa: string, set: number, key: Uint8Array, firstElement: number, elements: number): Int32Array;
  nttForward(isa: string, set: number, polynomial: Uint32Array): Uint32Array;
  nttInverse(isa: string, set: number, evaluations: Uint32Array): Uint32Array;
  /** Pointwise in the NTT domain. */
  multiply(isa: string, set: number, a: Uint32Array, b: Uint32Array): Uint32Array;
  encode(isa: string, set: number, plaintextBits: number, messages: Uint32Array): Uint32Array;
  switchModulus(isa: string, set: number, wireBits: number, c: Uint32Array): Uint32Array;
  /** One chunk of `lanes` ring elements, coefficients in chunk order. */
  pack(isa: string, set: number, wireBits: number, lanes: number, coefficients: Uint32Array): Uint8Array;
  unpack(isa: string, set: number, wireBits: number, lanes: number, bytes: Uint8Array): Uint32Array;
  sum(isa: string, set: number, wireBits: number, ringElements: number, inputs: Uint8Array[]): Uint8Array;
  encrypt(isa: string, job: TestingEncryption): { ciphertext: Uint8Array; shares: Uint8Array[] };
  open(
    isa: string,
    job: TestingOpening,
  ): { values: Int32Array; maxAbsResidual: number; residualSumOfSquares: number };
  sha256(bytes: Uint8Array): Uint8Array;
  hkdf(ikm: Uint8Array, info: Uint8Array, length: number): Uint8Array;
  /** Adds what a share stands for to n residues, in place; false, and nothing added, for a malformed share. */
  addShare(
    set: number,
    planFingerprint: Uint8Array,
    threshold: number,
    index: number,
    share: Uint8Array,
    accumulator: Uint32Array,
  ): boolean;
  interpolate(set: number, indices: number[], rows: Uint32Array[], at: number): Uint32Array;
}

function packageRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest)) {
      const { name } = JSON.parse(readFileSync(manifest, 'utf8')) as { name?: unknown };
      if (name === 'tensorguard-native') return folder;
    }
    if (folder === dirname(folder)) throw new Error('These tests run from inside the package.');
  }
}

/** Where CMake puts it; away from build/Release, which is for the shipped addon. */
function builtAddon(): string {
  return join(packageRoot(), 'build', 'testing', 'tensorguard_testing.node');
}

function load(): TestingAddon {
  const path = process.env['TENSORGUARD_TESTING_ADDON'] ?? builtAddon();
  if (!existsSync(path)) {
    throw new Error(`The testing addon is not at ${path}. Build it: npm run build.`);
  }
  return createRequire(import.meta.url)(path) as TestingAddon;
}

/** The testing addon, loaded once. */
export const testingAddon: TestingAddon = load();

/** What is compared with `scalar`; empty on a machine that has nothing wider. */
export const vectorIsas: readonly string[] = testingAddon.isas().filter((isa) => isa !== 'scalar');
