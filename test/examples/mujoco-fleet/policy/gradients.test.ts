/** The hand-written gradients against differences of the loss. */
import { expect } from 'chai';
import {
  type Trainable,
  trainableLora,
  trainableNetwork,
} from '../../../../examples/mujoco-fleet/policy/backward.js';
import { createLora, mergeLora } from '../../../../examples/mujoco-fleet/policy/lora.js';
import { createNetwork, forwardPass } from '../../../../examples/mujoco-fleet/policy/network.js';
import { Random } from '../../../../examples/mujoco-fleet/random.js';

/** Large enough that float32's rounding of the loss is small beside the difference, whose own error is of its square. */
const STEP = 3e-3;

function vector(length: number, random: Random): Float32Array {
  return new Float32Array(length).map(() => random.normal());
}

/** The largest |analytic - numeric|, over the largest gradient. */
function worstError(trainable: Trainable, observation: Float32Array, action: Float32Array): number {
  trainable.accumulate(observation, action);
  const analytic = trainable.gradients.map((gradient) => gradient.slice());
  let worst = 0;
  let largest = 0;
  for (const [i, parameter] of trainable.parameters.entries()) {
    for (let k = 0; k < parameter.length; k += 1) {
      const value = parameter[k] as number;
      parameter[k] = value + STEP;
      const above = parameter[k] as number;
      const more = trainable.accumulate(observation, action);
      parameter[k] = value - STEP;
      const below = parameter[k] as number;
      const less = trainable.accumulate(observation, action);
      parameter[k] = value;
      const exact = analytic[i]?.[k] as number;
      worst = Math.max(worst, Math.abs(exact - (more - less) / (above - below)));
      largest = Math.max(largest, Math.abs(exact));
    }
  }
  return worst / largest;
}

describe('gradients of the imitation loss', () => {
  const random = new Random(1);
  const observation = vector(4, random);
  const action = vector(2, random);

  it('are those of finite differences, for every weight and bias', () => {
    const network = createNetwork([4, 6, 5, 2], 2);
    expect(worstError(trainableNetwork(network), observation, action)).to.be.below(1e-3);
  });

  it('are those of finite differences, for both factors of a LoRA adapter', () => {
    const network = createNetwork([4, 6, 5, 2], 2);
    const lora = createLora(network, 3, 6, 3);
    for (const { up } of lora.factors) up.set(vector(up.length, random).map((value) => value / 4));
    expect(worstError(trainableLora(network, lora), observation, action)).to.be.below(1e-3);
  });

  it('leave the network alone where only the adapter is trained', () => {
    const network = createNetwork([4, 6, 5, 2], 2);
    const trainable = trainableLora(network, createLora(network, 3, 6, 3));
    const weights = network.flatMap(({ weight, bias }) => [weight, bias]);
    expect(trainable.parameters.some((parameter) => weights.includes(parameter))).to.equal(false);
    expect(trainable.parameters).to.have.length(4);
  });
});

describe('a LoRA adapter worked into the weights', () => {
  it('acts as the adapter beside them does', () => {
    const random = new Random(4);
    const network = createNetwork([4, 6, 5, 2], 2);
    const lora = createLora(network, 3, 6, 3);
    for (const { up } of lora.factors) up.set(vector(up.length, random));
    const observation = vector(4, random);
    const merged = forwardPass(mergeLora(network, lora))(observation);
    // Half the squared distance to the merged policy's action is the loss of the unmerged one.
    expect(trainableLora(network, lora).accumulate(observation, merged)).to.be.below(1e-10);
    expect(trainableNetwork(network).accumulate(observation, merged)).to.be.above(1e-3);
  });

  it('changes nothing before it is trained', () => {
    const network = createNetwork([4, 6, 5, 2], 2);
    const merged = mergeLora(network, createLora(network, 3, 6, 3));
    expect(merged.map(({ weight }) => weight)).to.deep.equal(network.map(({ weight }) => weight));
  });
});
