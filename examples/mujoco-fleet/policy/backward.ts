/** Gradients of the imitation loss, by hand: of all weights, or of a LoRA adapter's factors alone. */
import { type Lora, scalingOf } from './lora.js';
import { addOuter, applyTanh, multiply, multiplyTransposed, type Network } from './network.js';

/** The arrays to train, and their gradients beside them, in the same order. */
export interface Trainable {
  readonly parameters: readonly Float32Array[];
  readonly gradients: readonly Float32Array[];
  /**
   * Adds the gradient of |mean(observation) - action|^2 / 2 to `gradients`.
   *
   * @returns the loss
   */
  accumulate(observation: Float32Array, action: Float32Array): number;
}

interface LayerGradients {
  readonly weight?: Float32Array;
  readonly bias?: Float32Array;
  readonly down?: Float32Array;
  readonly up?: Float32Array;
}

/** Every weight and bias of the network is trained, in place. */
export function trainableNetwork(network: Network): Trainable {
  const gradients = network.map(({ weight, bias }) => ({
    weight: new Float32Array(weight.length),
    bias: new Float32Array(bias.length),
  }));
  return {
    parameters: network.flatMap(({ weight, bias }) => [weight, bias]),
    gradients: gradients.flatMap(({ weight, bias }) => [weight, bias]),
    accumulate: accumulator(network, undefined, gradients),
  };
}

/** Only the adapter's factors are trained, in place; the network stays as it is. */
export function trainableLora(network: Network, lora: Lora): Trainable {
  const gradients = new Map(
    lora.factors.map(({ name, down, up }) => [
      name,
      { down: new Float32Array(down.length), up: new Float32Array(up.length) },
    ]),
  );
  const perLayer = network.map(({ name }): LayerGradients => gradients.get(name) ?? {});
  return {
    parameters: lora.factors.flatMap(({ down, up }) => [down, up]),
    gradients: [...gradients.values()].flatMap(({ down, up }) => [down, up]),
    accumulate: accumulator(network, lora, perLayer),
  };
}

function accumulator(
  network: Network,
  lora: Lora | undefined,
  gradients: readonly LayerGradients[],
): Trainable['accumulate'] {
  const layers = network.map((layer, i) => ({
    layer,
    factors: lora?.factors.find(({ name }) => name === layer.name),
    gradients: gradients[i] as LayerGradients,
    output: new Float32Array(layer.outputs),
    /** Of the loss, by the layer's inputs. */
    inputGradient: new Float32Array(layer.inputs),
    /** A x, and the gradient by it. */
    inner: new Float32Array(lora?.rank ?? 0),
    innerGradient: new Float32Array(lora?.rank ?? 0),
    scaledInner: new Float32Array(lora?.rank ?? 0),
  }));
  const scaling = lora === undefined ? 0 : scalingOf(lora);
  const outputGradient = new Float32Array(layers.at(-1)?.layer.outputs ?? 0);

  const forward = (observation: Float32Array): Float32Array => {
    let x = observation;
    for (const [i, { layer, factors, output, inner, scaledInner }] of layers.entries()) {
      multiply(layer.weight, x, output, layer.bias);
      if (factors !== undefined) {
        inner.fill(0);
        multiply(factors.down, x, inner, undefined);
        for (let k = 0; k < inner.length; k += 1) scaledInner[k] = scaling * (inner[k] as number);
        multiply(factors.up, scaledInner, output, undefined);
      }
      if (i < layers.length - 1) applyTanh(output);
      x = output;
    }
    return x;
  };

  const backward = (observation: Float32Array): void => {
    let gradient = outputGradient;
    for (let i = layers.length - 1; i >= 0; i -= 1) {
      const at = layers[i] as (typeof layers)[number];
      const x = i === 0 ? observation : (layers[i - 1] as (typeof layers)[number]).output;
      if (at.gradients.weight !== undefined) addOuter(at.gradients.weight, gradient, x);
      if (at.gradients.bias !== undefined) addTo(at.gradients.bias, gradient);
      at.inputGradient.fill(0);
      if (i > 0) multiplyTransposed(at.layer.weight, gradient, at.inputGradient);
      if (at.factors !== undefined) {
        at.innerGradient.fill(0);
        multiplyTransposed(at.factors.up, gradient, at.innerGradient);
        for (let k = 0; k < at.innerGradient.length; k += 1) {
          at.innerGradient[k] = scaling * (at.innerGradient[k] as number);
        }
        addOuter(at.gradients.up as Float32Array, gradient, at.inner, scaling);
        addOuter(at.gradients.down as Float32Array, at.innerGradient, x);
        if (i > 0) multiplyTransposed(at.factors.down, at.innerGradient, at.inputGradient);
      }
      if (i > 0) {
        // tanh' = 1 - tanh^2, and x is the tanh.
        for (let k = 0; k < x.length; k += 1) {
          at.inputGradient[k] = (at.inputGradient[k] as number) * (1 - (x[k] as number) ** 2);
        }
      }
      gradient = at.inputGradient;
    }
  };

  return (observation, action) => {
    const mean = forward(observation);
    let loss = 0;
    for (let i = 0; i < mean.length; i += 1) {
      const error = (mean[i] as number) - (action[i] as number);
      outputGradient[i] = error;
      loss += error ** 2 / 2;
    }
    backward(observation);
    return loss;
  };
}

function addTo(sum: Float32Array, values: Float32Array): void {
  for (let i = 0; i < sum.length; i += 1) sum[i] = (sum[i] as number) + (values[i] as number);
}
