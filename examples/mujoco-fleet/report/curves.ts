/** What the arms reached, for people. */
import { renderTable } from '../../../bench/table.js';
import type { CurveDifference, Rate } from '../fleet/measure.js';
import type { Curve, CurvePoint, DemoResults } from '../run-demo.js';

export function percent(share: number): string {
  return (100 * share).toFixed(1);
}

function withInterval({ rate, lower, upper }: Rate): string {
  return `${percent(rate)} (${percent(lower)}..${percent(upper)})`;
}

function byRound(results: DemoResults, where: 'training' | 'unseen'): string {
  const rounds = Array.from({ length: results.rounds + 1 }, (_, round) => String(round));
  const rows = results.curves.map((curve) => [
    curve.arm,
    ...curve.points.map((point) => percent(point[where].rate)),
  ]);
  return renderTable(['success by round, %', ...rounds], rows);
}

function last(curve: Curve): CurvePoint {
  return curve.points.at(-1) as CurvePoint;
}

function finals(results: DemoResults): string {
  const rows = results.curves.map((curve) => {
    const point = last(curve);
    const { training, unseen, klDivergence, constraintViolations, secondsToComplete, facts } = point;
    return [
      curve.arm,
      withInterval(training),
      withInterval(unseen),
      klDivergence.toFixed(3),
      constraintViolations.toFixed(2),
      secondsToComplete?.toFixed(2) ?? '-',
      point.deltaError === undefined ? '-' : `${percent(point.deltaError)} %`,
      facts.updateBytes === undefined ? '-' : String(facts.updateBytes),
      facts.epsilonSpent?.toFixed(1) ?? '-',
    ];
  });
  return renderTable(
    [
      'after the last round',
      'own sites, %',
      'unseen sites, %',
      'KL',
      'violations',
      's',
      'error',
      'bytes',
      'epsilon',
    ],
    rows,
  );
}

function signed(share: number): string {
  return `${share < 0 ? '' : '+'}${percent(share)}`;
}

function differenceRow(each: CurveDifference): string[] {
  return [
    `${each.first} - ${each.second}`,
    `${signed(each.difference)} (${signed(each.lower)}..${signed(each.upper)})`,
    String(each.pairs),
    each.p < 0.001 ? '< 0.001' : each.p.toFixed(3),
    `${each.sitesFirstBetter} : ${each.sitesSecondBetter}`,
    `${each.roundsApart} of ${each.rounds}`,
  ];
}

export function renderCurves(results: DemoResults): string {
  const { robots, unseenSites, episodes } = results;
  return [
    `${robots} robots, each at a site of its own; ${unseenSites} sites that nobody trained at. Every release was measured in ` +
      `${episodes.training} episodes at the robots' own sites and ${episodes.unseen} at the unseen ones, the same for all.`,
    '',
    'Unseen sites',
    byRound(results, 'unseen'),
    '',
    "The robots' own sites",
    byRound(results, 'training'),
    '',
    finals(results),
    '',
    renderTable(
      [
        'unseen sites, paired episodes',
        'difference, %',
        'pairs',
        "McNemar's p",
        'sites won : lost',
        'rounds apart',
      ],
      results.differences.map(differenceRow),
    ),
    '',
    "Intervals are of 95 % (Wilson's; Tango's for differences): of these sites, for episodes are drawn and sites are given. A",
    'round counts as apart where the interval of the difference does not hold 0. Round 0 is the policy as it was pre-trained on',
    "the nominal arm. Without federation every robot runs its own adapter at its own site; at unseen sites the robots' adapters",
    'take turns. "violations" are control steps beyond a joint limit, an episode; "error" is of the last averaged delta to the',
    'plain mean of the deltas, all of it: rounding, noise, clip, and what is sent later; KL (nats) is to the release before;',
    'epsilon is what one robot has spent in all rounds, at delta 1e-5. The 8-bit curve is what its fleet ran, past the gate.',
    '"from owed": its robots train from the release and what they have not delivered yet, and not from the release alone.',
  ].join('\n');
}
