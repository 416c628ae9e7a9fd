/** One arm from its first round to its last, every release measured. No gate: each candidate becomes the next release. */
import { join } from 'node:path';
import { policyOf } from '../evaluate.js';
import { type Lora, mergeLora } from '../policy/lora.js';
import type { Network } from '../policy/network.js';
import { firstRelease } from '../policy/pretrained.js';
import { type ArmName, createFederation } from './arms.js';
import type { Attack } from './attacks.js';
import type { RoundFacts } from './federation.js';
import type { Fleet } from './fleet.js';
import { type Measured, measure } from './measure.js';

export interface ArmOptions {
  readonly fleet: Fleet;
  readonly arm: ArmName;
  readonly rounds: number;
  readonly seeds: readonly number[];
  /** Of this arm alone. */
  readonly directory: string;
  readonly attacks?: ReadonlyMap<number, Attack>;
  readonly progress?: (line: string) => void;
}

export interface ArmRound {
  readonly round: number;
  readonly measured: Measured;
  readonly facts: RoundFacts;
  /** See StepOutcome; absent where nothing is averaged. */
  readonly deltaError?: number;
}

export async function runArm(options: ArmOptions): Promise<ArmRound[]> {
  return options.arm === 'no federation' ? runAlone(options) : runFederated(options, options.arm);
}

async function runFederated(
  options: ArmOptions,
  arm: Exclude<ArmName, 'no federation'>,
): Promise<ArmRound[]> {
  const { fleet, directory, seeds, attacks } = options;
  const federation = await createFederation(arm, {
    directory: join(directory, 'rounds'),
    robots: fleet.robots().length,
  });
  let release = join(directory, 'release-0');
  await fleet.writeFirstRelease(release);
  const rounds: ArmRound[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    options.progress?.(`${arm}: round ${round} of ${options.rounds}`);
    const { candidate, facts, deltaError } = await fleet.step(federation, {
      round,
      release,
      directory: join(directory, `step-${round}`),
      ...(attacks !== undefined && { attacks }),
    });
    const [policy, reference] = [await policyOf(candidate), await policyOf(release)];
    const measured = await measure(
      fleet.ground,
      () => policy,
      () => reference,
      seeds,
    );
    rounds.push({ round, measured, facts, deltaError });
    release = candidate;
  }
  return rounds;
}

/**
 * Every robot goes on training from its own adapter. At its own site it runs that one; at an unseen site a robot's adapter
 * is all that there is to bring, and the robots take turns: what is measured is the mean over their adapters.
 */
async function runAlone({ fleet, rounds: count, seeds, progress }: ArmOptions): Promise<ArmRound[]> {
  const robots = fleet.robots();
  const { training, unseen } = fleet.ground.sites;
  const robotOf = (seed: number): number => {
    const turn = Math.floor(seed / 2);
    return seed % 2 === 0 ? turn % training.length : Math.floor(turn / unseen.length) % robots.length;
  };
  let adapters: Lora[] = robots.map(() => firstRelease(fleet.network));
  let policies: Network[] = adapters.map(() => fleet.network);
  const rounds: ArmRound[] = [];
  for (let round = 1; round <= count; round += 1) {
    progress?.(`no federation: round ${round} of ${count}`);
    const previous = policies;
    adapters = await Promise.all(robots.map((robot, i) => fleet.train(robot, adapters[i] as Lora, round)));
    policies = adapters.map((lora) => mergeLora(fleet.network, lora));
    const measured = await measure(
      fleet.ground,
      (seed) => policies[robotOf(seed)] as Network,
      (seed) => previous[robotOf(seed)] as Network,
      seeds,
    );
    rounds.push({ round, measured, facts: {} });
  }
  return rounds;
}
