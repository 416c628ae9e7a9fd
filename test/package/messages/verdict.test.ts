import { expect } from 'chai';
import {
  boundOutcome,
  overallOutcome,
  VERDICT_METRICS,
  type VerdictBody,
  type VerdictMetric,
  verdictMessage,
} from '../../../lib/package/messages/verdict.js';
import { bytes32, smallBodies } from '../fixtures.js';
import { describeRefusals, issuesOf } from './refusals.js';

/** The metrics of the small body, one of them changed. */
function withMetric(name: VerdictMetric['name'], changes: Partial<VerdictMetric>) {
  return ({ metrics }: VerdictBody) => ({
    metrics: metrics.map((metric) => (metric.name === name ? { ...metric, ...changes } : metric)),
  });
}

const indexOf = (name: VerdictMetric['name']): number => VERDICT_METRICS.indexOf(name);

describe('a verdict', () => {
  describeRefusals(
    'verdict',
    ['firstSeed', 'replaces'],
    [
      ['a verdict of an adapter against itself', () => ({ baseline: bytes32(1) }), 'baseline'],
      ['more looks than were planned', () => ({ looks: { made: 5, planned: 4 } }), 'looks.made'],
      ['a confidence of one half', () => ({ confidence: 0.5 }), 'confidence'],
      ['a confidence of 1', () => ({ confidence: 1 }), 'confidence'],
      ['limits that are never wrong', () => ({ limitError: 0 }), 'limitError'],
      ['no episodes', () => ({ episodes: 0 }), 'episodes'],
      ['a second attempt that does not say what it replaces', () => ({ attempt: 2 }), 'replaces'],
      ['a first attempt that replaces something', () => ({ replaces: bytes32(9) }), 'replaces'],
      ['another outcome than that of its metrics', () => ({ outcome: 'failed' }), 'outcome'],
      ['no reason', () => ({ reasons: [] }), 'reasons'],
      ['a reason of two lines', () => ({ reasons: ['a\nb'] }), 'reasons.0'],
      ['a metric left out', ({ metrics }) => ({ metrics: metrics.slice(1) }), 'metrics'],
      [
        'metrics in another order',
        ({ metrics }) => ({ metrics: [metrics[1], metrics[0], ...metrics.slice(2)] }),
        'metrics.0.name',
      ],
      [
        'a metric that passed, with a limit on the wrong side of its bound',
        withMetric('success-rate', { lower: 0.79 }),
        `metrics.${indexOf('success-rate')}.outcome`,
      ],
      [
        'a metric that passed without limits',
        withMetric('regression', { lower: undefined, upper: undefined }),
        `metrics.${indexOf('regression')}.outcome`,
      ],
      [
        'one limit of two',
        withMetric('regression', { lower: undefined }),
        `metrics.${indexOf('regression')}.outcome`,
      ],
      [
        'limits in the wrong order',
        withMetric('collisions', { lower: 9 }),
        `metrics.${indexOf('collisions')}.outcome`,
      ],
      [
        'a metric without its bound',
        withMetric('ood-robustness', { atLeast: undefined }),
        `metrics.${indexOf('ood-robustness')}.outcome`,
      ],
      [
        'a metric with two bounds',
        withMetric('ood-robustness', { atMost: 1 }),
        `metrics.${indexOf('ood-robustness')}.outcome`,
      ],
      [
        'a bound where the policy has none',
        withMetric('collisions', { atMost: 1 }),
        `metrics.${indexOf('collisions')}.outcome`,
      ],
      [
        'a success rate that was waived',
        withMetric('success-rate', {
          outcome: 'waived',
          estimate: undefined,
          lower: undefined,
          upper: undefined,
        }),
        `metrics.${indexOf('success-rate')}.outcome`,
      ],
      [
        'a value of what was not measured',
        withMetric('time-to-complete', { estimate: 1 }),
        `metrics.${indexOf('time-to-complete')}.outcome`,
      ],
      [
        'a measured metric without a value',
        withMetric('collisions', { estimate: undefined }),
        `metrics.${indexOf('collisions')}.outcome`,
      ],
    ],
  );

  it('may replace an earlier one', () => {
    expect(issuesOf('verdict', { attempt: 2, replaces: bytes32(9) })).to.deep.equal([]);
  });

  it('is inconclusive where a bounded metric was not measured and not waived', () => {
    const { metrics } = withMetric('kl-divergence', { outcome: 'not-measured' })(smallBodies().verdict);
    expect(overallOutcome(metrics)).to.equal('inconclusive');
    expect(issuesOf('verdict', { metrics })).to.deep.equal(['outcome']);
    expect(issuesOf('verdict', { metrics, outcome: 'inconclusive' })).to.deep.equal([]);
  });

  it('fails by one violated bound, whatever else passed or is open', () => {
    const names = VERDICT_METRICS.slice(0, 3);
    const outcomes = ['failed', 'passed', 'inconclusive'] as const;
    expect(overallOutcome(names.map((name, i) => ({ name, outcome: outcomes[i] as 'failed' })))).to.equal(
      'failed',
    );
  });

  it('takes a limit on the bound itself as met', () => {
    expect(boundOutcome({ atLeast: 0.8, lower: 0.8, upper: 0.9 })).to.equal('passed');
    expect(boundOutcome({ atLeast: 0.8, lower: 0.1, upper: 0.8 })).to.equal('inconclusive');
    expect(boundOutcome({ atMost: 5, lower: 0, upper: 5 })).to.equal('passed');
    expect(boundOutcome({ atMost: 5, lower: 5, upper: 6 })).to.equal('inconclusive');
    expect(boundOutcome({ atMost: 5, lower: 5.01, upper: 6 })).to.equal('failed');
    expect(boundOutcome({ atLeast: 0.8 })).to.equal('inconclusive');
  });

  it('is a .tgv', () => {
    expect(verdictMessage.extension).to.equal('.tgv');
  });
});
