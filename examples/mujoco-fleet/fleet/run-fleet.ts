/** All arms, on the same robots, sites and episodes. */
import { join } from 'node:path';
import { ARM_NAMES, type ArmName } from './arms.js';
import {
  type Attack,
  describeAttack,
  SIGN_FLIP,
  SUBTLE_MISS,
  UNCLIPPED_SIGN_FLIP,
  UNCLIPPED_SUBTLE_MISS,
} from './attacks.js';
import type { RoundFacts } from './federation.js';
import { Fleet } from './fleet.js';
import {
  compareUnseen,
  type Difference,
  type EpisodeCounts,
  episodeSeeds,
  type Measured,
  measure,
} from './measure.js';
import { type ArmRound, runArm } from './run-arm.js';

export interface RunOptions {
  readonly directory: string;
  readonly robots: number;
  readonly unseenSites: number;
  readonly rounds: number;
  readonly episodes: EpisodeCounts;
  /** Whether to run the arms with a poisoned robot too. */
  readonly poisoned: boolean;
  readonly progress?: (line: string) => void;
}

export type Summary = Omit<Measured, 'episodes'>;

export interface CurvePoint extends Summary {
  /** 0 is the pre-trained policy. */
  readonly round: number;
  readonly facts: RoundFacts;
  /** |averaged delta - plain mean| / |plain mean|; absent where nothing is averaged. */
  readonly deltaError?: number;
}

export interface Curve {
  readonly arm: ArmName;
  /** What the first robot does, where it means harm. */
  readonly attack?: string;
  readonly points: readonly CurvePoint[];
}

export interface FleetResults {
  readonly robots: number;
  readonly unseenSites: number;
  readonly rounds: number;
  readonly episodes: EpisodeCounts;
  readonly curves: readonly Curve[];
  /** After the last round. */
  readonly differences: readonly Difference[];
}

/** In the clear nobody clips, so that an attack that ignores the clip would be the same there. */
const POISONED: readonly (readonly [ArmName, Attack])[] = [
  ['plain FedAvg', SIGN_FLIP],
  ['encrypted 8-bit', SIGN_FLIP],
  ['encrypted 8-bit', UNCLIPPED_SIGN_FLIP],
  ['plain FedAvg', SUBTLE_MISS],
  ['encrypted 8-bit', SUBTLE_MISS],
  ['encrypted 8-bit', UNCLIPPED_SUBTLE_MISS],
];
const COMPARED: readonly (readonly [ArmName, ArmName])[] = [
  ['plain FedAvg', 'no federation'],
  ['encrypted 8-bit', 'no federation'],
  ['encrypted 8-bit', 'plain FedAvg'],
  ['encrypted 4-bit, keep 0.1', 'plain FedAvg'],
  ['encrypted with DP', 'plain FedAvg'],
];

function summaryOf({ episodes: _, ...summary }: Measured): Summary {
  return summary;
}

export async function runFleet(options: RunOptions): Promise<FleetResults> {
  const { directory, robots, unseenSites, rounds, episodes, progress } = options;
  progress?.('Pre-training on the nominal arm');
  const fleet = await Fleet.open({ base: join(directory, 'base'), robots, unseenSites });
  try {
    const seeds = episodeSeeds(episodes);
    const start = await measure(
      fleet.ground,
      () => fleet.network,
      () => fleet.network,
      seeds,
    );
    const curveOf = (arm: ArmName, run: readonly ArmRound[], attack?: Attack): Curve => ({
      arm,
      ...(attack !== undefined && { attack: describeAttack(attack) }),
      points: [
        { round: 0, ...summaryOf(start), facts: {} },
        ...run.map(({ round, measured, facts, deltaError }) => ({
          round,
          ...summaryOf(measured),
          facts,
          ...(deltaError !== undefined && { deltaError }),
        })),
      ],
    });
    const common = { fleet, rounds, seeds, ...(progress !== undefined && { progress }) };
    const curves: Curve[] = [];
    const last = new Map<ArmName, Measured>();
    for (const [i, arm] of ARM_NAMES.entries()) {
      const run = await runArm({ ...common, arm, directory: join(directory, `arm-${i + 1}`) });
      curves.push(curveOf(arm, run));
      last.set(arm, (run.at(-1) as ArmRound).measured);
    }
    for (const [i, [arm, attack]] of (options.poisoned ? POISONED : []).entries()) {
      progress?.(`One robot of ${robots}: ${describeAttack(attack)}`);
      const attacks = new Map([[0, attack]]);
      const run = await runArm({ ...common, arm, attacks, directory: join(directory, `poisoned-${i + 1}`) });
      curves.push(curveOf(arm, run, attack));
    }
    const named = (name: ArmName) => ({ name, measured: last.get(name) as Measured });
    const differences = COMPARED.map(([first, second]) =>
      compareUnseen(fleet.ground, named(first), named(second)),
    );
    return { robots, unseenSites, rounds, episodes, curves, differences };
  } finally {
    fleet.close();
  }
}
