/** What becomes of an attack on a fleet at work: round after round, until something stops it or the rounds are over. */
import { TensorGuardError } from '../../../lib/errors.js';
import { policyOf } from '../evaluate.js';
import { type Attack, describeAttack } from '../fleet/attacks.js';
import type { Fleet } from '../fleet/fleet.js';
import { type Rate, successOf } from '../fleet/measure.js';
import type { DeployedFleet, DeployedRound } from './deployed-fleet.js';

/** The first thing that stopped it: what refused or went back, and why. */
export interface Stopped {
  readonly by: 'a role of the round' | 'gate' | 'canary' | 'later step';
  readonly round: number;
  readonly why: string;
}

export interface AttackedRound {
  readonly round: number;
  readonly gate: DeployedRound['gate'];
  readonly rollout?: DeployedRound['rollout'];
  /** Of the attacker's delta, what the clip left of it; 1 where its client does not clip. */
  readonly clipFactor?: number;
  readonly saturatedValues?: number;
  /** What the round came to, were it to run everywhere. */
  readonly candidate: Rate;
}

export interface AttackCourse {
  readonly attack: string;
  readonly rounds: readonly AttackedRound[];
  readonly stopped?: Stopped;
  /** Candidates that the gate let through, and that went to every robot. */
  readonly released: number;
  /** Candidates of which the gate could not say enough: nobody runs them until a human decides. */
  readonly undecided: number;
  /** Before the attack, and what the fleet runs after it. */
  readonly before: Rate;
  readonly after: Rate;
  /** Robots that run the adapter that the fleet is to run, by what they opened themselves. */
  readonly robotsAsTheyShould: number;
  readonly robots: number;
}

export interface AttackCourseOptions {
  readonly deployed: DeployedFleet;
  readonly fleet: Fleet;
  readonly attack: Attack;
  /** By index. */
  readonly attacker: number;
  readonly firstRound: number;
  readonly rounds: number;
  /** Of episodes at the robots' own sites. */
  readonly seeds: readonly number[];
}

export async function runAttack(options: AttackCourseOptions): Promise<AttackCourse> {
  const { deployed, fleet, attack, attacker, firstRound, rounds: count, seeds } = options;
  const attacks = new Map([[attacker, attack]]);
  const success = async (adapter: string): Promise<Rate> =>
    successOf(fleet.ground, await policyOf(adapter), seeds);
  const before = await success(deployed.current);
  const rounds: AttackedRound[] = [];
  let stopped: Stopped | undefined;
  for (let round = firstRound; round < firstRound + count && stopped === undefined; round += 1) {
    const made = await deployed.round(round, attacks).catch(refusalOf);
    if (made instanceof TensorGuardError) {
      stopped = { by: 'a role of the round', round, why: `${made.code}: ${made.message}` };
      break;
    }
    const { gate, rollout, facts, candidate } = made;
    const clipFactor = facts.clipFactors?.[attacker];
    rounds.push({
      round,
      gate,
      ...(rollout !== undefined && { rollout }),
      ...(clipFactor !== undefined && { clipFactor }),
      ...(facts.saturatedValues !== undefined && { saturatedValues: facts.saturatedValues }),
      candidate: await success(candidate),
    });
    stopped = stopOf(made);
  }
  return {
    attack: describeAttack(attack),
    rounds,
    ...(stopped !== undefined && { stopped }),
    released: rounds.filter(({ rollout }) => rollout?.phase.name === 'full').length,
    undecided: rounds.filter(({ gate }) => gate.outcome === 'inconclusive').length,
    before,
    after: await success(deployed.current),
    robotsAsTheyShould: deployed.robots.length - deployed.straying.length,
    robots: deployed.robots.length,
  };
}

/** What a role of the package refuses is a result here; anything else is a fault of this program. */
function refusalOf(error: unknown): TensorGuardError {
  if (error instanceof TensorGuardError) return error;
  throw error;
}

function stopOf({ round, gate, rollout }: DeployedRound): Stopped | undefined {
  if (gate.outcome === 'failed') return { by: 'gate', round, why: gate.reasons.join('; ') };
  if (rollout === undefined || rollout.phase.name === 'full') return undefined;
  const broken = rollout.brokenOn?.conditions.filter(({ outcome }) => outcome === 'failed') ?? [];
  const conditions = broken.map(
    ({ condition: { metric, threshold }, bounds: { lower, upper } }) =>
      `${metric} ${lower.toFixed(3)} to ${upper.toFixed(3)} against ${threshold.toFixed(3)}`,
  );
  return {
    by: rollout.steps.length <= 1 ? 'canary' : 'later step',
    round,
    why: [rollout.cause ?? rollout.phase.name, ...conditions].join(': '),
  };
}
