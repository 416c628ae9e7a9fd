/** LoRA (Hu et al. 2021, arXiv 2106.09685): beside a frozen W, a trained B A of low rank. */
import { Random } from '../random.js';
import { HEAD_NAME, type Linear, type Network } from './network.js';

export interface LoraFactors {
  /** The module that they adapt. */
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  /** A, [rank, inputs]. */
  readonly down: Float32Array;
  /** B, [outputs, rank]. */
  readonly up: Float32Array;
}

export interface Lora {
  readonly rank: number;
  readonly alpha: number;
  readonly factors: readonly LoraFactors[];
}

/** PEFT's: what B A is multiplied by. */
export function scalingOf({ alpha, rank }: Pick<Lora, 'alpha' | 'rank'>): number {
  return alpha / rank;
}

/** An adapter of the hidden layers that changes nothing yet: A random, B zero. Everybody starts from the same A. */
export function createLora(network: Network, rank: number, alpha: number, seed: number): Lora {
  const random = new Random(seed);
  const factors = network
    .filter(({ name }) => name !== HEAD_NAME)
    .map(({ name, inputs, outputs }) => ({
      name,
      inputs,
      outputs,
      down: new Float32Array(rank * inputs).map(() => random.normal(1 / Math.sqrt(inputs))),
      up: new Float32Array(outputs * rank),
    }));
  return { rank, alpha, factors };
}

export function copyLora(lora: Lora): Lora {
  return {
    ...lora,
    factors: lora.factors.map((factor) => ({
      ...factor,
      down: factor.down.slice(),
      up: factor.up.slice(),
    })),
  };
}

/** All parameters, tensor by tensor: for arithmetic on whole adapters. The arrays are the adapter's own. */
export function tensorsOf({ factors }: Lora): Float32Array[] {
  return factors.flatMap(({ down, up }) => [down, up]);
}

export function parameterCount(lora: Lora): number {
  return tensorsOf(lora).reduce((sum, { length }) => sum + length, 0);
}

/** L2 norm of the difference. */
export function distanceOf(a: Lora, b: Lora): number {
  const others = tensorsOf(b);
  let squares = 0;
  for (const [i, values] of tensorsOf(a).entries()) {
    for (let k = 0; k < values.length; k += 1) {
      squares += ((values[k] as number) - (others[i]?.[k] as number)) ** 2;
    }
  }
  return Math.sqrt(squares);
}

/** The network with the adapter worked into its weights: what a robot runs. */
export function mergeLora(network: Network, lora: Lora): Network {
  const scaling = scalingOf(lora);
  const byName = new Map(lora.factors.map((factor) => [factor.name, factor]));
  return network.map((layer) => {
    const factor = byName.get(layer.name);
    return factor === undefined
      ? layer
      : { ...layer, weight: mergedWeight(layer, factor, lora.rank, scaling) };
  });
}

function mergedWeight(layer: Linear, { down, up }: LoraFactors, rank: number, scaling: number): Float32Array {
  const weight = layer.weight.slice();
  for (let row = 0; row < layer.outputs; row += 1) {
    for (let k = 0; k < rank; k += 1) {
      const factor = scaling * (up[row * rank + k] as number);
      for (let column = 0; column < layer.inputs; column += 1) {
        const at = row * layer.inputs + column;
        weight[at] = (weight[at] as number) + factor * (down[k * layer.inputs + column] as number);
      }
    }
  }
  return weight;
}
