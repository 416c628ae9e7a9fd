/** An adapter with as many parameters as asked for, in modules that have names as a policy's have. */
import { smolVlaShapes, type TensorShape } from '../../lib/adapter/smolvla.js';

const RANK = 16;
const WIDEST = 720;
const NARROWEST = 10;
const PARAMETERS_OF_SMOLVLA = 742_656;

/** @returns shapes with about `values` parameters, at least 320; SmolVLA's own where they are as many */
export function adapterShapes(values: number): readonly TensorShape[] {
  if (values === 740_000 || values === PARAMETERS_OF_SMOLVLA) return smolVlaShapes(RANK);
  const width = Math.max(NARROWEST, Math.min(WIDEST, Math.floor(values / (2 * RANK))));
  const modules = Math.max(1, Math.floor(values / (2 * RANK * width)));
  return Array.from({ length: modules }, (_, layer) => {
    const module = `base_model.model.policy.layers.${layer}.q_proj`;
    return [
      { name: `${module}.lora_A.weight`, shape: [RANK, width] },
      { name: `${module}.lora_B.weight`, shape: [width, RANK] },
    ];
  }).flat();
}
