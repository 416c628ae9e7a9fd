/** What a robot does between two rounds: it collects demonstrations at its site, and trains the release's adapter on them. */
import { trainableLora } from '../policy/backward.js';
import { type Demonstrations, demonstrate } from '../policy/demonstrations.js';
import { imitate } from '../policy/imitation.js';
import { copyLora, type Lora } from '../policy/lora.js';
import type { Network } from '../policy/network.js';
import { seedOf } from '../random.js';
import type { Site } from '../sim/sites.js';
import { type Attack, offsetOf, tamper } from './attacks.js';

export interface Robot {
  readonly site: Site;
  readonly attack?: Attack;
}

const EPISODES_A_ROUND = 12;
const TRAINING = { steps: 30, batchSize: 32, learningRate: 4e-4 } as const;

export class LocalTraining {
  /** What a robot sees in a round does not depend on how rounds are averaged: all arms train on the same. */
  private readonly seen = new Map<string, Promise<Demonstrations>>();

  constructor(private readonly network: Network) {}

  /** The adapter that the robot hands in for a round. */
  async train(robot: Robot, release: Lora, round: number): Promise<Lora> {
    const data = await this.demonstrations(robot, round);
    const trained = copyLora(release);
    const seed = seedOf('batches', robot.site.name, round);
    imitate(trainableLora(this.network, trained), data, { ...TRAINING, seed });
    return tamper(release, trained, robot.attack);
  }

  private demonstrations({ site, attack }: Robot, round: number): Promise<Demonstrations> {
    const key = JSON.stringify([site.name, round, attack ?? null]);
    const known = this.seen.get(key);
    if (known !== undefined) return known;
    const offsetAt = offsetOf(attack);
    const data = demonstrate({
      site,
      episodes: EPISODES_A_ROUND,
      seed: seedOf('round', round),
      ...(offsetAt !== undefined && { offsetAt }),
    });
    this.seen.set(key, data);
    return data;
  }
}
