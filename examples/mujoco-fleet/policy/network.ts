/** A multilayer perceptron with tanh between its layers: float32 weights, forward and backward written out. */
import { Random } from '../random.js';

/** y = W x + b. */
export interface Linear {
  /** As PEFT would call the module. */
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  /** [outputs, inputs], row-major. */
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

export type Network = readonly Linear[];

export const HEAD_NAME = 'policy.mean';

/**
 * Layers named `policy.layers.0`, ... and, last, {@link HEAD_NAME}; weights normal with variance 1 / inputs.
 *
 * @param sizes inputs, hidden widths, outputs
 */
export function createNetwork(sizes: readonly number[], seed: number): Network {
  const random = new Random(seed);
  return sizes.slice(1).map((outputs, i) => {
    const inputs = sizes[i] as number;
    const isHead = i === sizes.length - 2;
    const weight = new Float32Array(outputs * inputs).map(() => random.normal(1 / Math.sqrt(inputs)));
    return {
      name: isHead ? HEAD_NAME : `policy.layers.${i}`,
      inputs,
      outputs,
      weight,
      bias: new Float32Array(outputs),
    };
  });
}

/** y = W x + b (or y += W x, without a bias). */
export function multiply(
  weight: Float32Array,
  x: Float32Array,
  y: Float32Array,
  bias: Float32Array | undefined,
): void {
  const inputs = x.length;
  for (let row = 0; row < y.length; row += 1) {
    let sum = bias === undefined ? (y[row] as number) : (bias[row] as number);
    const start = row * inputs;
    for (let column = 0; column < inputs; column += 1) {
      sum += (weight[start + column] as number) * (x[column] as number);
    }
    y[row] = sum;
  }
}

/** x += W^T y. */
export function multiplyTransposed(weight: Float32Array, y: Float32Array, x: Float32Array): void {
  const inputs = x.length;
  for (let row = 0; row < y.length; row += 1) {
    const factor = y[row] as number;
    const start = row * inputs;
    for (let column = 0; column < inputs; column += 1) {
      x[column] = (x[column] as number) + factor * (weight[start + column] as number);
    }
  }
}

/** G += factor y x^T. */
export function addOuter(gradient: Float32Array, y: Float32Array, x: Float32Array, factor = 1): void {
  const inputs = x.length;
  for (let row = 0; row < y.length; row += 1) {
    const scaled = factor * (y[row] as number);
    const start = row * inputs;
    for (let column = 0; column < inputs; column += 1) {
      gradient[start + column] = (gradient[start + column] as number) + scaled * (x[column] as number);
    }
  }
}

/** Runs a network; buffers are made once. The result is overwritten by the next call. */
export function forwardPass(network: Network): (observation: Float32Array) => Float32Array {
  const outputs = network.map((layer) => new Float32Array(layer.outputs));
  return (observation) => {
    let x = observation;
    for (const [i, layer] of network.entries()) {
      const y = outputs[i] as Float32Array;
      multiply(layer.weight, x, y, layer.bias);
      if (i < network.length - 1) applyTanh(y);
      x = y;
    }
    return x;
  };
}

export function applyTanh(values: Float32Array): void {
  for (let i = 0; i < values.length; i += 1) values[i] = Math.tanh(values[i] as number);
}
