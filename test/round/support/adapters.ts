/** Small adapters with known values. */
import { loadPeftAdapter, writePeftAdapter } from '../../../lib/adapter/peft.js';
import type { AdapterConfig } from '../../../lib/adapter/peft-config.js';
import { writeSyntheticAdapter } from '../../../lib/adapter/synthetic.js';
import type { TensorDtype } from '../../../lib/adapter/tensor-info.js';

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

export interface Shape {
  readonly name: string;
  readonly shape: readonly number[];
}

export interface AdapterOptions {
  readonly shapes?: readonly Shape[];
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
    shapes: options.shapes ?? SHAPES,
    config: { ...CONFIG, ...options.config },
    standardDeviation: options.standardDeviation ?? 0.02,
    ...(options.dtype !== undefined && { dtype: options.dtype }),
  });
  return directory;
}

/** Writes an adapter with the values that `fill` gives each tensor. */
export async function writeValues(
  directory: string,
  fill: (name: string, out: Float32Array) => void | Promise<void>,
  options: Pick<AdapterOptions, 'shapes' | 'config'> = {},
): Promise<string> {
  await writePeftAdapter(directory, {
    configBytes: Buffer.from(JSON.stringify({ ...CONFIG, ...options.config })),
    tensors: (options.shapes ?? SHAPES).map(({ name, shape }) => ({
      name,
      shape,
      dtype: 'F32' as const,
      data: (out) => fill(name, out),
    })),
  });
  return directory;
}

/** The L2 norm over all tensors. */
export function normOf(values: ReadonlyMap<string, Float32Array>): number {
  let squares = 0;
  for (const tensor of values.values()) for (const value of tensor) squares += value * value;
  return Math.sqrt(squares);
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
