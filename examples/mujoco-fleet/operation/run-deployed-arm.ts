/** The arm whose rounds do not end with an average: gate, sealed release, canary, steps, and what the fleet then runs. */
import { join } from 'node:path';
import { type ProvingGround, policyOf } from '../evaluate.js';
import { DEPLOYED_ARM, settingsOf } from '../fleet/arms.js';
import type { Fleet } from '../fleet/fleet.js';
import { measure } from '../fleet/measure.js';
import type { ArmRound } from '../fleet/run-arm.js';
import { DeployedFleet, type DeployedRound } from './deployed-fleet.js';

export interface DeployedArmOptions {
  readonly fleet: Fleet;
  readonly gateGround: ProvingGround;
  readonly rounds: number;
  readonly seeds: readonly number[];
  /** That a robot works between two reports. */
  readonly episodesAReport: number;
  /** Of this arm alone. */
  readonly directory: string;
  readonly progress?: ((line: string) => void) | undefined;
}

export interface DeployedArm {
  /** What the fleet ran after each round, whether its candidate came through or not. */
  readonly rounds: readonly ArmRound[];
  readonly made: readonly DeployedRound[];
  readonly deployed: DeployedFleet;
}

export async function runDeployedArm(options: DeployedArmOptions): Promise<DeployedArm> {
  const { fleet, gateGround, directory, seeds, episodesAReport } = options;
  const robots = fleet.robots().length;
  const deployed = await DeployedFleet.create({
    fleet,
    gateGround,
    directory,
    encrypted: {
      directory: join(directory, 'rounds'),
      robots,
      quorum: robots,
      settings: settingsOf(DEPLOYED_ARM),
    },
    episodesAReport,
  });
  const rounds: ArmRound[] = [];
  const made: DeployedRound[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    options.progress?.(`${DEPLOYED_ARM}: round ${round} of ${options.rounds}, gate and rollout`);
    const reference = await policyOf(deployed.current);
    const done = await deployed.round(round);
    const policy = await policyOf(deployed.current);
    const measured = await measure(
      fleet.ground,
      () => policy,
      () => reference,
      seeds,
    );
    rounds.push({ round, measured, facts: done.facts, deltaError: done.deltaError });
    made.push(done);
  }
  return { rounds, made, deployed };
}
