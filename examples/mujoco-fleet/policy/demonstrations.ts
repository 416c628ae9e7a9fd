/** What robots learn from: states that they came through, each with the action that the expert takes there. */
import { Random, seedOf } from '../random.js';
import { ACTION_SIZE, Environment, OBSERVATION_SIZE } from '../sim/environment.js';
import { expertAction } from '../sim/expert.js';
import type { Pair } from '../sim/kinematics.js';
import type { Site } from '../sim/sites.js';

export interface Demonstrations {
  readonly observations: readonly Float32Array[];
  readonly actions: readonly Float32Array[];
}

export interface DemonstrationOptions {
  readonly site: Site;
  readonly episodes: number;
  readonly seed: number;
  /** By how much the expert is led astray in the state that the environment is in: metres. By nothing unless told. */
  readonly offsetAt?: (environment: Environment) => Pair;
}

/** Controls between two kicks, on average; and how hard one is, in units of an action. */
const KICK_EVERY = 6;
const KICK_DEVIATION = 0.5;
const KICK_CONTROLS = 3;

/**
 * The expert drives and is kicked off its way now and then, so that there are examples of finding back (DART, Laskey et al.
 * 2017, arXiv 1703.09327); its label is what it would do, not the kick.
 */
export async function demonstrate(options: DemonstrationOptions): Promise<Demonstrations> {
  const { site, episodes, seed, offsetAt } = options;
  const environment = await Environment.create(site);
  const random = new Random(seedOf('kicks', site.name, seed));
  const observations: Float32Array[] = [];
  const actions: Float32Array[] = [];
  try {
    for (let episode = 0; episode < episodes; episode += 1) {
      environment.reset(seedOf('demonstration', seed, episode));
      let kick: Pair = [0, 0];
      let kickedFor = 0;
      while (!environment.done) {
        const observation = new Float32Array(OBSERVATION_SIZE);
        environment.observe(observation);
        const offset = offsetAt?.(environment);
        const label = expertAction(environment, offset);
        observations.push(observation);
        actions.push(new Float32Array(ACTION_SIZE).map((_, joint) => label[joint] as number));
        if (kickedFor === 0 && random.below(KICK_EVERY) === 0) {
          kick = [random.normal(KICK_DEVIATION), random.normal(KICK_DEVIATION)];
          kickedFor = KICK_CONTROLS;
        }
        const on = kickedFor > 0 ? 1 : 0;
        kickedFor = Math.max(0, kickedFor - 1);
        environment.act([label[0] + on * kick[0], label[1] + on * kick[1]]);
      }
    }
  } finally {
    environment.close();
  }
  return { observations, actions };
}
