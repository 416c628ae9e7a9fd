/**
 * Adapters of given shapes with random values from a seed, for demonstrations and load tests where no
 * trained adapter is at hand. The same arguments give the same files on every machine.
 */

import { loadPeftAdapter, writePeftAdapter } from './peft.js';
import type { AdapterConfig } from './peft-config.js';
import { fillNormal } from './seeded-normal.js';
import { smolVlaConfig, smolVlaShapes, type TensorShape } from './smolvla.js';
import type { TensorDtype } from './tensor-info.js';

export interface SyntheticAdapterOptions {
  /** Decides every value. */
  readonly seed: string;
  /** Of the values, around 0; 0.02 unless told, what trained factors are like. */
  readonly standardDeviation?: number;
  /** {@link smolVlaShapes} unless told. */
  readonly shapes?: readonly TensorShape[];
  /** {@link smolVlaConfig} unless told; PEFT can only load one that fits the shapes. */
  readonly config?: AdapterConfig;
  /** F32 unless told. */
  readonly dtype?: TensorDtype;
}

/** Writes a synthetic adapter to `directory`, as {@link writePeftAdapter} does. */
export async function writeSyntheticAdapter(
  directory: string,
  options: SyntheticAdapterOptions,
): Promise<void> {
  const { seed, standardDeviation = 0.02, dtype = 'F32' } = options;
  await writePeftAdapter(directory, {
    configBytes: encodeConfig(options.config ?? smolVlaConfig()),
    tensors: (options.shapes ?? smolVlaShapes()).map(({ name, shape }) => ({
      name,
      dtype,
      shape,
      data: (out) => fillNormal(out, standardDeviation, seed, name),
    })),
  });
}

export interface PerturbOptions {
  /** Decides the deltas: one robot, one seed. */
  readonly seed: string;
  /** Of the deltas, around 0; 0.002 unless told, a tenth of the synthetic adapter's own values. */
  readonly standardDeviation?: number;
}

/**
 * Writes to `directory` what one robot has after training on from the adapter in `base`: every value
 * plus a random delta of its own. The configuration is carried over to the byte.
 */
export async function perturbAdapter(
  base: string,
  directory: string,
  options: PerturbOptions,
): Promise<void> {
  const { configBytes, tensors } = await loadPeftAdapter(base);
  try {
    let delta = new Float32Array(0);
    await writePeftAdapter(directory, {
      configBytes,
      tensors: tensors.names.map((name) => ({
        name,
        dtype: tensors.info(name).dtype,
        shape: tensors.info(name).shape,
        data: async (out) => {
          await tensors.readTensor(name, out);
          if (delta.length < out.length) delta = new Float32Array(out.length);
          const part = delta.subarray(0, out.length);
          perturb(out, part, { ...options, stream: name });
        },
      })),
    });
  } finally {
    await tensors.close();
  }
}

/**
 * Draws a robot's delta for one tensor into `delta` and adds it to `values` in place; both the caller's,
 * of equal length.
 */
export function perturb(
  values: Float32Array,
  delta: Float32Array,
  options: PerturbOptions & { readonly stream: string },
): void {
  fillNormal(delta, options.standardDeviation ?? 0.002, options.seed, options.stream);
  for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) + (delta[i] as number);
}

/** As PEFT writes it: keys sorted, two spaces. */
function encodeConfig(config: AdapterConfig): Buffer {
  const sorted = Object.fromEntries(Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1)));
  return Buffer.from(JSON.stringify(sorted, null, 2), 'utf8');
}
