/** The pre-trained policy in a file: made once by whoever runs this, and never part of the repository. */
import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openSafetensors, writeSafetensors } from '../../../lib/index.js';
import type { Linear, Network } from './network.js';

const FILE = 'model.safetensors';

export async function writePolicy(directory: string, network: Network): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeSafetensors(
    join(directory, FILE),
    network.flatMap(({ name, inputs, outputs, weight, bias }) => [
      { name: `${name}.weight`, dtype: 'F32' as const, shape: [outputs, inputs], data: weight },
      { name: `${name}.bias`, dtype: 'F32' as const, shape: [outputs], data: bias },
    ]),
  );
}

export async function holdsPolicy(directory: string): Promise<boolean> {
  return access(join(directory, FILE)).then(
    () => true,
    () => false,
  );
}

export async function readPolicy(directory: string): Promise<Network> {
  const file = await openSafetensors(join(directory, FILE));
  try {
    const layers: Linear[] = [];
    // Bytewise by name: `policy.layers.0`, `policy.layers.1`, ... and the head, `policy.mean`, after them.
    for (const tensor of file.names.filter((name) => name.endsWith('.weight'))) {
      const name = tensor.slice(0, -'.weight'.length);
      const [outputs, inputs] = file.info(tensor).shape as [number, number];
      const weight = new Float32Array(outputs * inputs);
      const bias = new Float32Array(outputs);
      await file.readTensor(tensor, weight);
      await file.readTensor(`${name}.bias`, bias);
      layers.push({ name, inputs, outputs, weight, bias });
    }
    return layers;
  } finally {
    await file.close();
  }
}
