/** The arms that are only compared: they share nothing with the fleet at work but the policy that it starts from. */
import { join } from 'node:path';
import { ARM_NAMES, type ArmName, DEPLOYED_ARM } from '../fleet/arms.js';
import { Fleet, type FleetOptions } from '../fleet/fleet.js';
import { type ArmRound, runArm } from '../fleet/run-arm.js';

export interface ComparedArmsRequest {
  /** The pre-trained policy is there. */
  readonly fleet: FleetOptions;
  readonly rounds: number;
  readonly seeds: readonly number[];
  /** Of these arms alone. */
  readonly directory: string;
}

export type ComparedArms = readonly (readonly [ArmName, readonly ArmRound[]])[];

export async function runComparedArms(
  { fleet: options, rounds, seeds, directory }: ComparedArmsRequest,
  progress: (line: string) => void,
): Promise<ComparedArms> {
  const fleet = await Fleet.open(options);
  try {
    const runs: (readonly [ArmName, readonly ArmRound[]])[] = [];
    for (const [i, arm] of ARM_NAMES.entries()) {
      if (arm === DEPLOYED_ARM) continue;
      const own = join(directory, `arm-${i + 1}`);
      runs.push([arm, await runArm({ fleet, arm, rounds, seeds, directory: own, progress })]);
    }
    return runs;
  } finally {
    fleet.close();
  }
}
