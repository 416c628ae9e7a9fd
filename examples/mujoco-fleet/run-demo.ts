/** All arms, on the same robots, sites and episodes; then attacks on the fleet of the arm that is at work. */
import { join } from 'node:path';
import { runBeside } from './comparison/beside.js';
import { ownersCopies, ProvingGround } from './evaluate.js';
import { ARM_NAMES, type ArmName, DEPLOYED_ARM } from './fleet/arms.js';
import {
  type Attack,
  BACKDOOR,
  describeAttack,
  SIGN_FLIP,
  UNCLIPPED_BACKDOOR,
  UNCLIPPED_SIGN_FLIP,
} from './fleet/attacks.js';
import type { RoundFacts } from './fleet/federation.js';
import { Fleet, type FleetOptions } from './fleet/fleet.js';
import {
  type CurveDifference,
  compareCurves,
  type EpisodeCounts,
  episodeSeeds,
  measure,
  type Summary,
  summaryOf,
} from './fleet/measure.js';
import type { ArmRound } from './fleet/run-arm.js';
import { type AttackCourse, runAttack } from './operation/attack-course.js';
import type { DeployedRound } from './operation/deployed-fleet.js';
import { type DeployedArm, runDeployedArm } from './operation/run-deployed-arm.js';
import { processorSeconds } from './processor-time.js';

export interface RunOptions {
  readonly directory: string;
  readonly robots: number;
  readonly unseenSites: number;
  readonly rounds: number;
  readonly episodes: EpisodeCounts;
  /** That a robot works between two reports of a rollout. */
  readonly episodesAReport: number;
  /** That an attacker has, at most. */
  readonly attackRounds: number;
  readonly progress?: (line: string) => void;
}

export interface CurvePoint extends Summary {
  /** 0 is the pre-trained policy. */
  readonly round: number;
  readonly facts: RoundFacts;
  /** |averaged delta - plain mean| / |plain mean|; absent where nothing is averaged. */
  readonly deltaError?: number;
}

export interface Curve {
  readonly arm: ArmName;
  readonly points: readonly CurvePoint[];
}

export interface DemoResults {
  readonly robots: number;
  readonly unseenSites: number;
  readonly rounds: number;
  readonly episodes: EpisodeCounts;
  readonly curves: readonly Curve[];
  readonly differences: readonly CurveDifference[];
  /** The arm at work, round by round. */
  readonly deployed: readonly DeployedRound[];
  readonly attacks: readonly AttackCourse[];
  /** Of all processes. */
  readonly processorSeconds: number;
}

const ATTACKS: readonly Attack[] = [SIGN_FLIP, UNCLIPPED_SIGN_FLIP, BACKDOOR, UNCLIPPED_BACKDOOR];
/** A robot whose site has nights, so that its demonstrations of them are nothing that its owner would wonder at. */
const ATTACKER = 2;
const COMPARED: readonly (readonly [ArmName, ArmName])[] = [
  ['plain FedAvg', 'no federation'],
  ['encrypted 8-bit', 'no federation'],
  ['encrypted 8-bit', 'plain FedAvg'],
  ['encrypted 4-bit, keep 0.1', 'plain FedAvg'],
  ['encrypted 4-bit, keep 0.1, from owed', 'plain FedAvg'],
  ['encrypted with DP', 'plain FedAvg'],
];

export async function runDemo(options: RunOptions): Promise<DemoResults> {
  options.progress?.('Pre-training on the nominal arm');
  const fleet = await Fleet.open(fleetOptions(options));
  const gateGround = new ProvingGround(ownersCopies(fleet.ground.sites));
  try {
    return await runOn(fleet, gateGround, options);
  } finally {
    gateGround.close();
    fleet.close();
  }
}

async function runOn(fleet: Fleet, gateGround: ProvingGround, options: RunOptions): Promise<DemoResults> {
  const { directory, robots, unseenSites, rounds, episodes, episodesAReport, progress } = options;
  const seeds = episodeSeeds(episodes);
  const compared = runBeside(
    { fleet: fleetOptions(options), rounds, seeds, directory },
    progress ?? (() => undefined),
  );
  try {
    const pretrained = () => fleet.network;
    const start = summaryOf(await measure(fleet.ground, pretrained, pretrained, seeds));
    const atWork = await runDeployedArm({
      fleet,
      gateGround,
      rounds,
      seeds,
      episodesAReport,
      directory: join(directory, 'at-work'),
      progress,
    });
    const attacks = await attackAll(fleet, atWork, options);
    const beside = await compared.done;
    const runs = new Map<ArmName, readonly ArmRound[]>([...beside.runs, [DEPLOYED_ARM, atWork.rounds]]);
    const roundsOf = (arm: ArmName): readonly ArmRound[] => runs.get(arm) ?? [];
    const named = (name: ArmName) => ({ name, rounds: roundsOf(name).map(({ measured }) => measured) });
    return {
      robots,
      unseenSites,
      rounds,
      episodes,
      curves: ARM_NAMES.map((arm) => curveOf(arm, start, roundsOf(arm))),
      differences: COMPARED.map(([first, second]) =>
        compareCurves(fleet.ground, named(first), named(second)),
      ),
      deployed: atWork.made,
      attacks,
      processorSeconds: processorSeconds() + beside.processorSeconds,
    };
  } finally {
    compared.stop();
  }
}

function fleetOptions({ directory, robots, unseenSites }: RunOptions): FleetOptions {
  return { base: join(directory, 'base'), robots, unseenSites };
}

function curveOf(arm: ArmName, start: Summary, run: readonly ArmRound[]): Curve {
  return {
    arm,
    points: [
      { round: 0, ...start, facts: {} },
      ...run.map(({ round, measured, facts, deltaError }) => ({
        round,
        ...summaryOf(measured),
        facts,
        ...(deltaError !== undefined && { deltaError }),
      })),
    ],
  };
}

/** Each attack meets the fleet as the last round left it. */
async function attackAll(
  fleet: Fleet,
  { deployed }: DeployedArm,
  { directory, rounds, attackRounds, episodes, progress }: RunOptions,
): Promise<AttackCourse[]> {
  const courses: AttackCourse[] = [];
  for (const [i, attack] of ATTACKS.entries()) {
    progress?.(`One robot means harm: ${describeAttack(attack)}`);
    courses.push(
      await runAttack({
        deployed: await deployed.fork(join(directory, `attack-${i + 1}`)),
        fleet,
        attack,
        attacker: ATTACKER,
        firstRound: rounds + 1,
        rounds: attackRounds,
        seeds: episodeSeeds({ ...episodes, unseen: 0 }),
      }),
    );
  }
  return courses;
}
