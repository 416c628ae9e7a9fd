/** Behaviour cloning: least squares on demonstrations, which is maximum likelihood for a normal head of fixed deviation. */
import { Random } from '../random.js';
import { Adam } from './adam.js';
import type { Trainable } from './backward.js';
import type { Demonstrations } from './demonstrations.js';

export interface ImitationOptions {
  readonly steps: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly seed: number;
}

/** Trains in place, with a learning rate that falls to a tenth. @returns the mean loss of the last tenth of the steps */
export function imitate(trainable: Trainable, data: Demonstrations, options: ImitationOptions): number {
  const { steps, batchSize, learningRate, seed } = options;
  const random = new Random(seed);
  const adam = new Adam(trainable.parameters, trainable.gradients);
  const last = Math.ceil(steps / 10);
  let loss = 0;
  for (let step = 0; step < steps; step += 1) {
    for (let i = 0; i < batchSize; i += 1) {
      const at = random.below(data.observations.length);
      const example = trainable.accumulate(
        data.observations[at] as Float32Array,
        data.actions[at] as Float32Array,
      );
      if (step >= steps - last) loss += example;
    }
    adam.step(learningRate * (1 - (0.9 * step) / steps), batchSize);
  }
  return loss / (last * batchSize);
}
