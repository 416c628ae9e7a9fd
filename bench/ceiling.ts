/**
 * What encryption could reach on this machine, derived from its two dear parts measured alone: a coefficient needs
 * six bytes of ChaCha20 keystream (a word for the mask, half a word for the error) and its share of one inverse
 * transform. Error, message, rounding and packing come on top and are left out, so the ceiling is an upper bound for
 * kernels of this design, not a promise.
 */
import { randomBytes } from 'node:crypto';
import { parameterSet } from '../lib/lwe/parameters.js';
import type { ForcedProcess } from './forced-process.js';
import {
  type Absent,
  interleave,
  isAbsent,
  measureElapsed,
  nanosecondsEach,
  type RoundOptions,
  type Spread,
  type TimedCase,
} from './measure.js';
import { loadTestingKernels, type TestingKernels } from './testing-kernels.js';
import { coefficientCount, makeWorkload, type WorkloadSpec } from './workload.js';

const KEYSTREAM_BYTES_PER_COEFFICIENT = 6;
/** Ring elements that each instruction set works on side by side (native/simd). */
const LANES: Readonly<Record<string, number>> = { scalar: 1, neon: 4, avx2: 8, avx512: 16 };
const KEYSTREAM_WORDS = 1 << 14;
const TRANSFORM_CALLS = 32;

export interface CeilingFigures {
  readonly instructionSet: string;
  /** ChaCha20, the copying out of one lane included (a few percent). */
  readonly keystreamNsPerByte: Spread;
  /** Eleven layers of butterflies, without the pointwise product before them. */
  readonly transformNsPerCoefficient: Spread;
  readonly encryptNsPerCoefficient: Spread;
  /** 1 / (6 * keystream + transform), of the medians. */
  readonly ceilingMillionCoefficientsPerSecond: number;
  /** What encryption reached of it in the same rounds, of the medians. */
  readonly encryptShareOfCeiling: number;
}

export type Ceilings = readonly (CeilingFigures | UnknownCeiling)[] | Absent;

/** A ceiling that the machine was too busy to give. */
export interface UnknownCeiling extends Absent {
  readonly instructionSet: string;
}

type CasePart = 'encrypt' | 'keystream' | 'inverse' | 'product';
type CaseName = `${string}/${CasePart}`;

/** 1/n mod q: what the testing addon scales its inverse transform by. */
function inverseOfDimension(n: number, q: number): number {
  // 1/n = q - (q - 1)/n, since n divides q - 1.
  return q - (q - 1) / n;
}

function kernelCases(kernels: TestingKernels, instructionSet: string): TimedCase<CaseName>[] {
  const { n, q, nativeId } = parameterSet('lwe-192');
  const key = randomBytes(32);
  const polynomial = Uint32Array.from({ length: n }, (_, i) => (i * 524287) % q);
  // The factor that nttInverse multiplies by: both calls then prepare the same table.
  const factor = new Uint32Array(n).fill(inverseOfDimension(n, q));
  const repeat = (operation: () => unknown) => () =>
    measureElapsed(() => {
      for (let call = 0; call < TRANSFORM_CALLS; call += 1) operation();
    });
  return [
    {
      name: `${instructionSet}/keystream`,
      time: () => measureElapsed(() => kernels.keystream(instructionSet, key, 64, KEYSTREAM_WORDS)),
    },
    {
      name: `${instructionSet}/inverse`,
      time: repeat(() => kernels.nttInverse(instructionSet, nativeId, polynomial)),
    },
    {
      name: `${instructionSet}/product`,
      time: repeat(() => kernels.multiply(instructionSet, nativeId, polynomial, factor)),
    },
  ];
}

/** The ceilings of all instruction sets, measured in turn with encryption itself. */
export async function measureCeilings(
  processes: readonly ForcedProcess[],
  spec: WorkloadSpec,
  options: RoundOptions,
): Promise<Ceilings> {
  const kernels = loadTestingKernels();
  if (isAbsent(kernels)) return kernels;
  const cases = processes.flatMap((process): TimedCase<CaseName>[] => [
    {
      name: `${process.instructionSet}/encrypt`,
      time: () => process.time({ part: 'native', workload: spec }),
    },
    ...kernelCases(kernels, process.instructionSet),
  ]);
  const timings = await interleave(cases, options);
  const coefficients = coefficientCount(makeWorkload(spec));
  return processes.map(({ instructionSet }) => {
    const of = (part: CasePart) => timings(`${instructionSet}/${part}`);
    const lanes = LANES[instructionSet] as number;
    const keystream = nanosecondsEach(KEYSTREAM_WORDS * 4 * lanes, of('keystream'));
    const encrypt = nanosecondsEach(coefficients, of('encrypt'));
    // Both calls prepare a factor, fill the lanes and compare them afterwards; what they differ in is the transform.
    const product = of('product');
    const transform = nanosecondsEach(
      parameterSet('lwe-192').n * lanes * TRANSFORM_CALLS,
      of('inverse').map((ns, round) => ns - (product[round] as number)),
    );
    if (transform.median <= 0) {
      const absent =
        'the transform drowned in noise; measure again on a quiet machine, or with --clock processor';
      return { instructionSet, absent };
    }
    const bound = KEYSTREAM_BYTES_PER_COEFFICIENT * keystream.median + transform.median;
    return {
      instructionSet,
      keystreamNsPerByte: keystream,
      transformNsPerCoefficient: transform,
      encryptNsPerCoefficient: encrypt,
      ceilingMillionCoefficientsPerSecond: 1e3 / bound,
      encryptShareOfCeiling: bound / encrypt.median,
    };
  });
}
