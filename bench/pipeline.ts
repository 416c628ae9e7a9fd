/** From a delta to integers on one thread: rotation, stochastic quantization and noise, each alone and in a row. */
import { randomBytes } from 'node:crypto';
import { native } from '../lib/native.js';
import { addNoise } from '../lib/pipeline/noise.js';
import { quantize } from '../lib/pipeline/quantize.js';
import { rotateAndSample } from '../lib/pipeline/rotation.js';
import {
  interleave,
  measureElapsed,
  millionsPerSecond,
  nanosecondsEach,
  type RoundOptions,
  type Spread,
} from './measure.js';

const BLOCK_LOG2 = 12;
/** Noise is dear; a sixteenth of the values gives its time as well. */
const NOISE_SHARE = 16;
const NOISE_THRESHOLDS = [100, 1000] as const;

export interface PipelineFigures {
  readonly instructionSet: string;
  readonly valueCount: number;
  readonly blockLog2: number;
  /** With all coordinates kept. */
  readonly rotateNsPerValue: Spread;
  /** The message digest that hedges the randomness included. */
  readonly quantizeNsPerValue: Spread;
  readonly rotateAndQuantizeMillionValuesPerSecond: Spread;
  readonly noise: readonly { readonly thresholds: number; readonly nsPerValue: Spread }[];
}

/** @param valueCount coordinates of one tensor */
export async function measurePipeline(valueCount: number, options: RoundOptions): Promise<PipelineFigures> {
  const rotation = {
    blockLog2: BLOCK_LOG2,
    signKey: randomBytes(32),
    sampleKey: randomBytes(32),
    tensorIndex: 0,
  };
  const hedge = {
    parameterSet: 'lwe-192',
    planFingerprint: randomBytes(32),
    prfKey: randomBytes(32),
  } as const;
  // A rotation takes the same time whatever it rotates, and keeps the norm: it is repeated on its own output.
  const values = Float32Array.from({ length: valueCount }, (_, i) => Math.sin(i) / 100);
  const kept = values.slice();
  const levels = new Int32Array(valueCount);
  const noisy = new Int32Array(Math.ceil(valueCount / NOISE_SHARE));
  const rotate = () => rotateAndSample({ ...rotation, values, kept });
  const round = () =>
    quantize({
      ...hedge,
      values: kept,
      counts: Uint32Array.of(valueCount),
      factors: Float32Array.of(5000),
      limits: Uint32Array.of(127),
      levels,
      threads: 1,
    });
  const noiseCases = NOISE_THRESHOLDS.map((count) => {
    const thresholds = BigUint64Array.from(
      { length: count },
      (_, k) => (BigInt(k + 1) << 63n) / BigInt(count + 1),
    );
    return {
      name: `noise ${count}` as const,
      time: () =>
        measureElapsed(() => addNoise({ ...hedge, levels: noisy, thresholds, draws: 1, threads: 1 })),
    };
  });
  const timings = await interleave(
    [
      { name: 'rotate' as const, time: () => measureElapsed(rotate) },
      { name: 'quantize' as const, time: () => measureElapsed(round) },
      { name: 'both' as const, time: () => measureElapsed(() => rotate().then(round)) },
      ...noiseCases,
    ],
    options,
  );
  return {
    instructionSet: native().instructionSet,
    valueCount,
    blockLog2: BLOCK_LOG2,
    rotateNsPerValue: nanosecondsEach(valueCount, timings('rotate')),
    quantizeNsPerValue: nanosecondsEach(valueCount, timings('quantize')),
    rotateAndQuantizeMillionValuesPerSecond: millionsPerSecond(valueCount, timings('both')),
    noise: NOISE_THRESHOLDS.map((thresholds) => ({
      thresholds,
      nsPerValue: nanosecondsEach(noisy.length, timings(`noise ${thresholds}`)),
    })),
  };
}
