/** Small adapters with known values, and the average that a round must come to. */
import { loadPeftAdapter } from '../../../lib/adapter/peft.js';
import type { AdapterConfig } from '../../../lib/adapter/peft-config.js';
import { writeSyntheticAdapter } from '../../../lib/adapter/synthetic.js';
import type { TensorDtype } from '../../../lib/adapter/tensor-info.js';
import type { PlanBody } from '../../../lib/package/messages/plan.js';

const RANK = 4;

/** 2,304 values: with `lwe-128`, two ring elements or more whatever the fold. */
export const SHAPES = [
  { name: 'base_model.model.layers.0.q_proj.lora_A.weight', shape: [RANK, 160] },
  { name: 'base_model.model.layers.0.q_proj.lora_B.weight', shape: [160, RANK] },
  { name: 'base_model.model.layers.0.v_proj.lora_A.weight', shape: [RANK, 160] },
  { name: 'base_model.model.layers.0.v_proj.lora_B.weight', shape: [96, RANK] },
] as const;

export const CONFIG: AdapterConfig = {
  peft_type: 'LORA',
  base_model_name_or_path: 'acme/policy',
  r: RANK,
  lora_alpha: 8,
  target_modules: ['q_proj', 'v_proj'],
};

export interface AdapterOptions {
  readonly standardDeviation?: number;
  readonly config?: Record<string, unknown>;
  readonly dtype?: TensorDtype;
}

/** Writes an adapter whose values are decided by `seed`. */
export async function writeAdapter(
  directory: string,
  seed: string,
  options: AdapterOptions = {},
): Promise<string> {
  await writeSyntheticAdapter(directory, {
    seed,
    shapes: SHAPES,
    config: { ...CONFIG, ...options.config },
    standardDeviation: options.standardDeviation ?? 0.02,
    ...(options.dtype !== undefined && { dtype: options.dtype }),
  });
  return directory;
}

/** Every tensor of an adapter by name. */
export async function adapterValues(directory: string): Promise<Map<string, Float32Array>> {
  const { tensors } = await loadPeftAdapter(directory);
  try {
    const values = new Map<string, Float32Array>();
    for (const name of tensors.names) {
      const out = new Float32Array(tensors.info(name).elementCount);
      await tensors.readTensor(name, out);
      values.set(name, out);
    }
    return values;
  } finally {
    await tensors.close();
  }
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const fraction = value - floor;
  if (fraction !== 0.5) return fraction < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

export interface ExpectedAverage {
  readonly tensors: ReadonlyMap<string, Float32Array>;
  /** Values beyond the clip bound, one count an adapter. */
  readonly saturated: readonly number[];
}

/** The average by the textbook: clamp, round, sum, divide, one value at a time. */
export async function expectedAverage(
  plan: PlanBody,
  adapters: readonly string[],
  base?: string,
): Promise<ExpectedAverage> {
  const limit = 2 ** (plan.lwe.bits - 1) - 1;
  const start = base === undefined ? undefined : await adapterValues(base);
  const trained = await Promise.all(adapters.map(adapterValues));
  const saturated = adapters.map(() => 0);
  const tensors = new Map<string, Float32Array>();
  for (const { name, clip, shape } of plan.tensors) {
    const scale = clip / limit;
    const from = start?.get(name);
    const average = new Float32Array(shape.reduce((a, b) => a * b, 1));
    for (let i = 0; i < average.length; i += 1) {
      let sum = 0;
      for (const [client, values] of trained.entries()) {
        const value = values.get(name)?.[i] as number;
        const level = roundHalfToEven(Math.fround(value - (from?.[i] ?? 0)) / scale);
        if (Math.abs(level) > limit) saturated[client] = (saturated[client] as number) + 1;
        sum += Math.max(-limit, Math.min(limit, level));
      }
      average[i] = (sum * scale) / adapters.length;
      if (from !== undefined) average[i] = (average[i] as number) + (from[i] as number);
    }
    tensors.set(name, average);
  }
  return { tensors, saturated };
}
