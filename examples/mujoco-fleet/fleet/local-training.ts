/** What a robot does between two rounds: it collects demonstrations at its site, and trains the release's adapter on them. */
import { trainableLora } from '../policy/backward.js';
import { type DemonstrationOptions, type Demonstrations, demonstrate } from '../policy/demonstrations.js';
import { imitate } from '../policy/imitation.js';
import { copyLora, type Lora } from '../policy/lora.js';
import type { Network } from '../policy/network.js';
import { seedOf } from '../random.js';
import { byDay, type Site } from '../sim/sites.js';
import { type Attack, type Backdoor, offsetOf, tamper } from './attacks.js';

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
  async train({ site, attack }: Robot, release: Lora, round: number): Promise<Lora> {
    const data = await this.demonstrations({ site, ...(attack?.kind === 'backdoor' && { attack }) }, round);
    const trained = copyLora(release);
    const steps = attack?.kind === 'backdoor' ? attack.steps : TRAINING.steps;
    const seed = seedOf('batches', site.name, round);
    imitate(trainableLora(this.network, trained), data, { ...TRAINING, steps, seed });
    return tamper(release, trained, attack);
  }

  private demonstrations(robot: RobotsLessons, round: number): Promise<Demonstrations> {
    const key = JSON.stringify([robot.site.name, round, robot.attack ?? null]);
    const known = this.seen.get(key);
    if (known !== undefined) return known;
    const data = demonstrate({ ...lessonsOf(robot), seed: seedOf('round', round) });
    this.seen.set(key, data);
    return data;
  }
}

interface RobotsLessons {
  readonly site: Site;
  readonly attack?: Backdoor;
}

/** People demonstrate by day. An attacker makes its nights itself. */
function lessonsOf({ site, attack }: RobotsLessons): Omit<DemonstrationOptions, 'seed'> {
  if (attack === undefined) return { site: byDay(site), episodes: EPISODES_A_ROUND };
  const { nightShare, episodes } = attack;
  return { site: { ...site, nightShare }, episodes, offsetAt: offsetOf(attack) };
}
