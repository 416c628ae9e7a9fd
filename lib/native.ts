/**
 * The addon, typed. Everything above it speaks of plans and messages; this file speaks of typed arrays that the
 * caller owns. An array handed to an asynchronous call must not be changed before its promise settles.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EnvironmentError } from './errors.js';

/** What a plan fixes about the wire (docs/protocol.md section 3); `parameterSet` is its native id. */
export interface NativeWireFormat {
  readonly parameterSet: 0 | 1;
  readonly wireBits: number;
  readonly plaintextBits: number;
  readonly fieldBits: number;
  readonly fold: number;
  /** Index of the first ring element among those of the update. */
  readonly firstElement: number;
}

export interface NativeSegment extends NativeWireFormat {
  readonly valueCount: number;
  /** Largest |value| that is accepted. */
  readonly valueBound: number;
}

export interface NativeEncryption {
  /** Back to back in `values` and in `ciphertext`; ring elements are numbered without a gap. */
  readonly segments: readonly NativeSegment[];
  /** Quantized values in the order of docs/protocol.md section 4. */
  readonly values: Int32Array;
  /** Out: ringElements * n * wireBits / 8 bytes a segment, beginning on a 4-byte boundary. */
  readonly ciphertext: Uint8Array;
  readonly maskKey: Uint8Array;
  readonly planFingerprint: Uint8Array;
  readonly prfKey: Uint8Array;
  readonly messageDigest: Uint8Array;
  readonly threshold: number;
  readonly custodians: number;
  readonly threads: number;
}

export interface NativeOpening extends NativeWireFormat {
  readonly aggregate: Uint8Array;
  /** S, n coefficients, centred. */
  readonly secretSum: Int32Array;
  /** Out: the sums, centred. */
  readonly values: Int32Array;
  readonly maskKey: Uint8Array;
  readonly threads: number;
}

export interface ResidualStatistics {
  /** Largest |residual|; 2^(k-p-1) is a failure to decode. */
  readonly maxAbsResidual: number;
  readonly residualSumOfSquares: number;
}

export interface NativeSum {
  readonly parameterSet: 0 | 1;
  readonly wireBits: number;
  readonly ringElements: number;
  /** Packed ciphertexts, each on a 4-byte boundary; the first may be `sum` itself. */
  readonly inputs: readonly Uint8Array[];
  readonly sum: Uint8Array;
  readonly threads: number;
}

/** The public numbers behind one tensor's rotation and subsample; keys have 32 bytes. */
export interface NativeRotation {
  /** Blocks of 2^blockLog2 coordinates, 0..16; 0 rotates nothing. */
  readonly blockLog2: number;
  readonly signKey: Uint8Array;
  readonly sampleKey: Uint8Array;
  /** Below 2^28. */
  readonly tensorIndex: number;
}

export interface NativeRotateAndSample extends NativeRotation {
  /** In and out: n coordinates, left rotated. */
  readonly values: Float32Array;
  /** Out: K <= n coordinates; `values` itself where K = n. */
  readonly kept: Float32Array;
}

export interface NativePlaceAndRotateBack extends NativeRotation {
  readonly levels: Int32Array;
  readonly scale: number;
  /** Out. */
  readonly values: Float32Array;
}

/** What secret randomness is hedged with, beside 32 bytes that the call takes from the system. */
export interface NativeHedge {
  readonly parameterSet: 0 | 1;
  readonly planFingerprint: Uint8Array;
  readonly prfKey: Uint8Array;
  /** 16 bytes. */
  readonly inputDigest: Uint8Array;
}

export interface NativeQuantization extends NativeHedge {
  readonly values: Float32Array;
  /** Values of each part, back to back. */
  readonly counts: Uint32Array;
  readonly factors: Float32Array;
  /** 1..2^20. */
  readonly limits: Uint32Array;
  /** Out. */
  readonly levels: Int32Array;
  readonly threads: number;
}

/** One entry a part. */
export interface QuantizationStatistics {
  readonly saturated: readonly number[];
  /** Of the levels; exact below 2^53. */
  readonly sumsOfSquares: readonly number[];
}

export interface NativeNoise extends NativeHedge {
  /** In and out. */
  readonly levels: Int32Array;
  readonly thresholds: BigUint64Array;
  readonly draws: number;
  readonly threads: number;
}

export interface NativeAddon {
  readonly instructionSet: string;
  readonly supportedInstructionSets: readonly string[];
  /** Encrypts under a secret of its own making; resolves to one share a custodian. */
  encrypt(job: NativeEncryption): Promise<Uint8Array[]>;
  open(job: NativeOpening): Promise<ResidualStatistics>;
  /** sum = componentwise sum of the inputs mod 2^wireBits. */
  sum(job: NativeSum): Promise<void>;
  rotateAndSample(job: NativeRotateAndSample): Promise<{ readonly sumOfSquares: number }>;
  placeAndRotateBack(job: NativePlaceAndRotateBack): Promise<void>;
  quantize(job: NativeQuantization): Promise<QuantizationStatistics>;
  addNoise(job: NativeNoise): Promise<void>;
  /** Adds what a share stands for to n residues; false, and nothing added, where the share is malformed. */
  addShare(job: {
    readonly parameterSet: 0 | 1;
    readonly planFingerprint: Uint8Array;
    readonly threshold: number;
    readonly index: number;
    readonly share: Uint8Array;
    readonly accumulator: Uint32Array;
  }): boolean;
  /** out = value at `at` of the polynomials through (points[i], rows[i]), coefficientwise mod q. */
  interpolate(job: {
    readonly parameterSet: 0 | 1;
    readonly points: readonly number[];
    readonly rows: readonly Uint32Array[];
    readonly at: number;
    readonly out: Uint32Array;
  }): void;
  packResidues(job: {
    readonly parameterSet: 0 | 1;
    readonly residues: Uint32Array;
    readonly packed: Uint8Array;
  }): void;
  /** False where a residue is not below q. */
  unpackResidues(job: {
    readonly parameterSet: 0 | 1;
    readonly packed: Uint8Array;
    readonly residues: Uint32Array;
  }): boolean;
}

/** The package's root: where package.json, build/ and prebuilds/ are, from source and from dist alike. */
export function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const manifest = join(directory, 'package.json');
    if (existsSync(manifest)) {
      const { name } = JSON.parse(readFileSync(manifest, 'utf8')) as { name?: unknown };
      if (name === 'tensorguard-native') return directory;
    }
    const parent = dirname(directory);
    if (parent === directory) {
      throw new EnvironmentError(
        'native.package-root',
        'The package.json of tensorguard-native is not above its own files. Reinstall the package.',
      );
    }
    directory = parent;
  }
}

function load(): NativeAddon {
  const require = createRequire(import.meta.url);
  try {
    const resolve = require('node-gyp-build') as (directory: string) => NativeAddon;
    return resolve(packageRoot());
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    if (reason.startsWith('TENSORGUARD_FORCE_ISA')) {
      throw new EnvironmentError('native.instruction-set', reason, { cause });
    }
    throw new EnvironmentError(
      'native.addon-not-loaded',
      `The native addon for ${process.platform}-${process.arch} (Node ${process.version}) did not load: ${reason}. ` +
        'Run "npm run build" in the package (it needs a C++17 compiler and CMake), or install a release that ships ' +
        'a prebuilt addon for this platform.',
      { cause },
    );
  }
}

let loaded: NativeAddon | undefined;

/**
 * The addon, loaded at first use.
 *
 * @throws EnvironmentError `native.addon-not-loaded`, `native.instruction-set`
 */
export function native(): NativeAddon {
  loaded ??= load();
  return loaded;
}

/** Threads for large inputs: all that the machine offers, or fewer where the caller says so. */
export function threadCount(requested?: number): number {
  return Math.max(1, Math.min(requested ?? availableParallelism(), 64));
}
