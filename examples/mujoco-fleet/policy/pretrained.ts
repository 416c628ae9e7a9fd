/** The policy that the fleet starts from: it has seen the arm as its maker models it, and nothing else. */
import { seedOf } from '../random.js';
import { ACTION_SIZE, OBSERVATION_SIZE } from '../sim/environment.js';
import { NOMINAL } from '../sim/sites.js';
import { trainableNetwork } from './backward.js';
import { demonstrate } from './demonstrations.js';
import { imitate } from './imitation.js';
import { createLora, type Lora } from './lora.js';
import { createNetwork, type Network } from './network.js';
import { holdsPolicy, readPolicy, writePolicy } from './policy-file.js';

const HIDDEN = [48, 48] as const;
const EPISODES = 300;
const TRAINING = { steps: 4000, batchSize: 32, learningRate: 3e-3 } as const;

const LORA_RANK = 4;
const LORA_ALPHA = 8;

/**
 * Standard deviation of an action's components around the policy's mean, in units of an action. Rollouts take the mean; the
 * deviation is what divergences between policies are measured by.
 */
export const ACTION_DEVIATION = 0.1;

export async function pretrain(): Promise<Network> {
  const data = await demonstrate({ site: NOMINAL, episodes: EPISODES, seed: seedOf('pre-training') });
  const network = createNetwork([OBSERVATION_SIZE, ...HIDDEN, ACTION_SIZE], seedOf('network'));
  imitate(trainableNetwork(network), data, { ...TRAINING, seed: seedOf('pre-training batches') });
  return network;
}

/** Reads the policy in `directory`; where there is none, trains it and leaves it there. */
export async function pretrainedPolicy(directory: string): Promise<Network> {
  if (await holdsPolicy(directory)) return readPolicy(directory);
  const network = await pretrain();
  await writePolicy(directory, network);
  return network;
}

/** The adapter of release 0: the pre-trained policy, unchanged. */
export function firstRelease(network: Network): Lora {
  return createLora(network, LORA_RANK, LORA_ALPHA, seedOf('adapter'));
}
