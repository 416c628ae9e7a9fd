/** The opened average beside the plain one, of the same adapters, computed in the clear. */
import { loadPeftAdapter } from '../../lib/adapter/peft.js';
import type { SafetensorsReader } from '../../lib/adapter/safetensors-reader.js';
import type { TrustedPlan } from '../../lib/index.js';
import { dequantizeMean, quantizeUniform, uniformScale } from '../../lib/pipeline/uniform.js';
import type { SyntheticFleetData } from './synthetic-data.js';

export interface PlainComparison {
  readonly values: number;
  /** |opened - plain| / |plain|, L2 norms over the averaged delta (not over the adapter, which would flatter it). */
  readonly relativeError: number;
  /** Between the opened and the plain averaged delta. */
  readonly cosine: number;
  /**
   * Values of the opened adapter that are not, to the bit, what averaging the same quantized deltas in the clear gives:
   * what encrypting and summing changed, apart from quantization.
   */
  readonly changedByEncryption: number;
}

async function read(tensors: SafetensorsReader, name: string, count: number): Promise<Float32Array> {
  const values = new Float32Array(count);
  await tensors.readTensor(name, values);
  return values;
}

/** @param average directory of the adapter that the round opened: the base plus the averaged delta */
export async function compareWithPlainAverage(
  data: SyntheticFleetData,
  plan: TrustedPlan,
  average: string,
): Promise<PlainComparison> {
  const open = async (path: string): Promise<SafetensorsReader> => (await loadPeftAdapter(path)).tensors;
  const base = await open(data.base);
  const opened = await open(average);
  const trained = await Promise.all(data.trained.map(open));
  const robots = trained.length;
  let values = 0;
  let plainNorm = 0;
  let openedNorm = 0;
  let product = 0;
  let errorNorm = 0;
  let changedByEncryption = 0;
  try {
    for (const { name, shape, clip } of plan.body.tensors) {
      const count = shape.reduce((a, b) => a * b, 1);
      const start = await read(base, name, count);
      const result = await read(opened, name, count);
      const plain = new Float64Array(count);
      const sums = new Int32Array(count);
      const levels = new Int32Array(count);
      const scale = uniformScale(clip, plan.body.lwe.bits);
      for (const robot of trained) {
        const delta = await read(robot, name, count);
        for (let i = 0; i < count; i += 1) delta[i] = (delta[i] as number) - (start[i] as number);
        quantizeUniform(delta, scale, plan.body.lwe.bits, levels, 0);
        for (let i = 0; i < count; i += 1) {
          plain[i] = (plain[i] as number) + (delta[i] as number) / robots;
          sums[i] = (sums[i] as number) + (levels[i] as number);
        }
      }
      const quantizedMean = new Float32Array(count);
      dequantizeMean(sums, 0, count, scale, robots, quantizedMean);
      for (let i = 0; i < count; i += 1) {
        const from = start[i] as number;
        const expected = Math.fround((quantizedMean[i] as number) + from);
        if (result[i] !== expected) changedByEncryption += 1;
        const found = (result[i] as number) - from;
        const wanted = plain[i] as number;
        plainNorm += wanted ** 2;
        openedNorm += found ** 2;
        product += wanted * found;
        errorNorm += (found - wanted) ** 2;
      }
      values += count;
    }
  } finally {
    for (const reader of [base, opened, ...trained]) await reader.close();
  }
  return {
    values,
    relativeError: Math.sqrt(errorNorm / plainNorm),
    cosine: product / Math.sqrt(plainNorm * openedNorm),
    changedByEncryption,
  };
}
