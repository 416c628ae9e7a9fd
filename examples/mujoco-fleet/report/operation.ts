/** What the gate, the rollouts and the attacks came to, for people. */
import { renderTable } from '../../../bench/table.js';
import type { AttackCourse, AttackedRound } from '../operation/attack-course.js';
import type { DeployedRound } from '../operation/deployed-fleet.js';
import type { DemoResults } from '../run-demo.js';
import { percent } from './curves.js';

const NOT_THERE = '-';

function estimateOf({ metrics }: DeployedRound['gate'], name: string): string {
  const metric = metrics.find((each) => each.name === name);
  return metric?.estimate === undefined ? NOT_THERE : percent(metric.estimate);
}

/** "40/60 a robot": success and floor of each step. */
function stepsOf(rollout: DeployedRound['rollout']): string {
  if (rollout === undefined) return NOT_THERE;
  return rollout.steps
    .map(({ percent: share, robots, episodes, successes, floor }) => {
      const success = Math.round((100 * successes) / episodes);
      return `${share} %, ${robots}: ${success} (${Math.round(100 * floor)})`;
    })
    .join('; ');
}

function endOf(rollout: DeployedRound['rollout']): string {
  if (rollout === undefined) return 'not released';
  return rollout.cause === undefined ? rollout.phase.name : `${rollout.phase.name}: ${rollout.cause}`;
}

export function renderDeployed(rounds: readonly DeployedRound[]): string {
  return renderTable(
    [
      'round',
      'gate',
      'stage',
      'episodes',
      'success',
      'unseen',
      'rollout',
      'each step, robots: success % (floor)',
    ],
    rounds.map(({ round, gate, rollout }) => [
      String(round),
      gate.outcome,
      gate.stage,
      String(gate.episodes),
      estimateOf(gate, 'success-rate'),
      estimateOf(gate, 'ood-robustness'),
      endOf(rollout),
      stepsOf(rollout),
    ]),
  );
}

function clipOf(rounds: readonly AttackedRound[]): string {
  const [first] = rounds;
  if (first?.clipFactor === undefined) return NOT_THERE;
  return first.clipFactor < 1 ? `${percent(first.clipFactor)} % left` : 'left out';
}

function stoppedBy({ stopped, released, undecided, rounds }: AttackCourse): string {
  if (stopped !== undefined) return `${stopped.by}, round ${stopped.round}`;
  if (released === 0 && undecided > 0) return 'gate, undecided';
  return `nothing in ${rounds.length} rounds`;
}

function attackRow(course: AttackCourse): string[] {
  const { rounds, released, undecided, before, after, robotsAsTheyShould, robots } = course;
  const worst = rounds.reduce((least, { candidate }) => Math.min(least, candidate.rate), 1);
  return [
    course.attack,
    clipOf(rounds),
    String(rounds.length),
    `${released}, ${undecided}`,
    stoppedBy(course),
    percent(before.rate),
    percent(worst),
    percent(after.rate),
    `${robotsAsTheyShould} of ${robots}`,
  ];
}

export function renderAttacks(courses: readonly AttackCourse[]): string {
  const table = renderTable(
    [
      'one robot',
      'clip',
      'rounds',
      'released, undecided',
      'stopped by',
      'before, %',
      'worst candidate, %',
      'after, %',
      'robots on it',
    ],
    courses.map(attackRow),
  );
  const reasons = courses.flatMap(({ attack, stopped }) =>
    stopped === undefined ? [] : [`${attack}: ${stopped.why}`],
  );
  return [table, ...reasons].join('\n');
}

export function renderOperation({ deployed, attacks }: DemoResults): string {
  return [
    'The 8-bit fleet at work: every candidate at the gate, in episodes by day; what passed, at the robots, by day and night',
    renderDeployed(deployed),
    '',
    'One robot means harm, from the round after the last one on, until something stops it',
    renderAttacks(attacks),
    '',
    'While the fleet is set up, a candidate has to be no worse than what runs; from the release on that was shown to be above the',
    "safety profile's floors, these hold too. A step's floor is what its robots have shown under the best release so far, less the",
    'regression that the profile allows. "clip" is what the attacker\'s client left of its delta in the first round; "left out":',
    "it does not clip. Success is at the robots' own sites: of what ran before, of the worst candidate that the attack came to,",
    'were it to run everywhere, and of what runs after it. The last column counts robots that run what the fleet is to run,',
    'each by what it opened with its own key.',
  ].join('\n');
}
