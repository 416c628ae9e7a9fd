/** FedAvg as in the textbook: the mean of what the robots trained, in floating point, which somebody sees in the clear. */
import { readLora, writeLora } from '../policy/adapter-files.js';
import { copyLora, type Lora, tensorsOf } from '../policy/lora.js';
import type { Federation, RoundInput } from './federation.js';

/** The mean of the adapters: release + mean of (adapter - release), whatever the release. */
export function meanLora(adapters: readonly Lora[]): Lora {
  const mean = copyLora(adapters[0] as Lora);
  const all = adapters.map(tensorsOf);
  for (const [i, values] of tensorsOf(mean).entries()) {
    for (let k = 0; k < values.length; k += 1) {
      values[k] = all.reduce((sum, tensors) => sum + (tensors[i]?.[k] as number), 0) / adapters.length;
    }
  }
  return mean;
}

export const plainAverage: Federation = {
  async average({ trained, out }: RoundInput) {
    const files = await Promise.all(trained.map(readLora));
    const [first] = files as [(typeof files)[number]];
    await writeLora(out, meanLora(files.map(({ lora }) => lora)), first.base);
    return {};
  },
};
