/** What is public of an update's size: the energies of an adapter that everyone may see. */
import { adapterSchema, type TensorSchema } from '../adapter/adapter-schema.js';
import type { PeftAdapter } from '../adapter/peft.js';

export interface TensorEnergy {
  /** Sum of squares. */
  readonly energy: number;
  readonly largest: number;
}

/** Energies of `like`, less `base`, by tensor: of the last released update, where these are its ends. */
export async function publicEnergies(
  like: PeftAdapter,
  base: PeftAdapter | undefined,
  tensors: readonly Pick<TensorSchema, 'name'>[] = adapterSchema(like.tensors),
): Promise<Map<string, TensorEnergy>> {
  const energies = new Map<string, TensorEnergy>();
  for (const { name } of tensors) {
    const { elementCount } = like.tensors.info(name);
    const values = new Float32Array(elementCount);
    await like.tensors.readTensor(name, values);
    const start = base === undefined ? undefined : new Float32Array(elementCount);
    if (base !== undefined && start !== undefined) await base.tensors.readTensor(name, start);
    let energy = 0;
    let largest = 0;
    for (let i = 0; i < elementCount; i += 1) {
      const value = (values[i] as number) - (start === undefined ? 0 : (start[i] as number));
      energy += value * value;
      largest = Math.max(largest, Math.abs(value));
    }
    energies.set(name, { energy, largest });
  }
  return energies;
}
