/** LoRA adapters of the policy as PEFT writes them, so that `seal --base` and everything else of the package takes them. */
import { loadPeftAdapter, writePeftAdapter } from '../../../lib/index.js';
import type { Lora, LoraFactors } from './lora.js';

const PREFIX = 'base_model.model.';
const DOWN = '.lora_A.weight';
const UP = '.lora_B.weight';

/** An adapter's tensors under PEFT's names. The values are the adapter's own. */
export function factorTensors({ rank, factors }: Lora) {
  return factors.flatMap(({ name, inputs, outputs, down, up }) => [
    { name: `${PREFIX}${name}${DOWN}`, dtype: 'F32' as const, shape: [rank, inputs], data: down },
    { name: `${PREFIX}${name}${UP}`, dtype: 'F32' as const, shape: [outputs, rank], data: up },
  ]);
}

/** @param base directory of the policy that is adapted, which the configuration names as PEFT does */
export async function writeLora(directory: string, lora: Lora, base: string): Promise<void> {
  const config = {
    base_model_name_or_path: base,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    lora_alpha: lora.alpha,
    lora_dropout: 0,
    peft_type: 'LORA',
    r: lora.rank,
    target_modules: lora.factors.map(({ name }) => name),
    task_type: null,
  };
  await writePeftAdapter(directory, {
    configBytes: Buffer.from(JSON.stringify(config, null, 2)),
    tensors: factorTensors(lora),
  });
}

export interface LoraFile {
  readonly lora: Lora;
  /** Directory of the policy that it adapts. */
  readonly base: string;
}

/** Reads what {@link writeLora} wrote, or what a round opened. */
export async function readLora(directory: string): Promise<LoraFile> {
  const { config, tensors } = await loadPeftAdapter(directory);
  try {
    const { r: rank, lora_alpha: alpha, base_model_name_or_path: base } = config;
    if (rank === undefined || alpha === undefined || typeof base !== 'string') {
      throw new TypeError(`${directory} is no adapter of this example: r, lora_alpha or the base is missing`);
    }
    const read = async (name: string): Promise<Float32Array> => {
      const values = new Float32Array(tensors.info(name).elementCount);
      await tensors.readTensor(name, values);
      return values;
    };
    const factors: LoraFactors[] = [];
    for (const tensor of tensors.names.filter((each) => each.endsWith(DOWN))) {
      const module = tensor.slice(0, -DOWN.length);
      const down = await read(tensor);
      const up = await read(`${module}${UP}`);
      factors.push({
        name: module.slice(PREFIX.length),
        inputs: down.length / rank,
        outputs: up.length / rank,
        down,
        up,
      });
    }
    return { lora: { rank, alpha, factors }, base };
  } finally {
    await tensors.close();
  }
}
