import { expect } from 'chai';
import { type Judgement, judge } from '../../../lib/evaluation/gate/gate.js';
import {
  VERDICT_METRICS,
  type VerdictMetric,
  type VerdictMetricName,
} from '../../../lib/package/messages/verdict.js';
import { goodPairs, type PairFields, pairs, SAFETY } from '../support/episodes.js';

const RULES = { safety: SAFETY, limitError: 0.0125 };

function metric(judgement: Judgement, name: VerdictMetricName): VerdictMetric {
  return judgement.metrics.find((each) => each.name === name) as VerdictMetric;
}

describe('the gate', () => {
  it('passes a candidate that meets every bound, and says so for each metric', () => {
    const judgement = judge(goodPairs(200), RULES);
    expect(judgement.metrics.map(({ name }) => name)).to.deep.equal([...VERDICT_METRICS]);
    expect(judgement.outcome, judgement.reasons.join('\n')).to.equal('passed');
    expect(judgement.reasons).to.deep.equal(['all 5 bounds are met']);
    expect(metric(judgement, 'success-rate')).to.include({
      outcome: 'passed',
      atLeast: 0.8,
      estimate: 1,
      upper: 1,
      episodes: 100,
    });
    expect(metric(judgement, 'regression')).to.include({ atMost: 0.05, estimate: 0, episodes: 200 });
    expect(metric(judgement, 'time-to-complete').estimate).to.be.closeTo(0.1, 0.01);
    expect(metric(judgement, 'collisions')).to.include({ outcome: 'reported', estimate: 0 });
  });

  it('does not pass the same candidate on few episodes: nothing is shown yet', () => {
    const judgement = judge(goodPairs(20), RULES);
    expect(judgement.outcome).to.equal('inconclusive');
    expect(judgement.reasons[0]).to.match(
      /^success-rate: 1, limits 0\.645\d* to 1, bound at least 0\.8; 10 of 10/,
    );
  });

  const failures: [what: string, name: VerdictMetricName, fieldsOf: (i: number) => PairFields][] = [
    [
      'fails half of the episodes inside of the distribution',
      'success-rate',
      (i) => ({ candidate: { success: i % 4 !== 0 }, baseline: { success: i % 4 !== 0 } }),
    ],
    [
      'fails outside of the distribution',
      'ood-robustness',
      (i) => ({
        candidate: { success: i % 4 !== 1 && i % 8 !== 3 },
        baseline: { success: i % 4 !== 1 && i % 8 !== 3 },
      }),
    ],
    [
      'violates a constraint in every fourth episode',
      'constraint-violations',
      (i) => ({ candidate: { constraintViolations: i % 4 === 0 ? 1 : 0 } }),
    ],
    [
      'acts unlike the baseline',
      'kl-divergence',
      (i) => ({ candidate: { klDivergence: 1 + (i % 10) / 10 } }),
    ],
    [
      'fails where the baseline succeeds, one seed in eight',
      'regression',
      (i) => ({ candidate: { success: i % 8 !== 0 } }),
    ],
  ];
  for (const [what, name, fieldsOf] of failures) {
    it(`fails a candidate that ${what}, and that is the only reason`, () => {
      const judgement = judge(goodPairs(400, fieldsOf), RULES);
      expect(judgement.outcome).to.equal('failed');
      expect(judgement.reasons, judgement.reasons.join('\n')).to.have.lengthOf(1);
      expect(judgement.reasons[0]).to.match(new RegExp(`^${name}: `));
    });
  }

  it('compares on the same seeds: as many failures, on the same seeds, are no regression', () => {
    const failed = (offset: number) => (i: number) => ({
      baseline: { success: i % 10 !== 0 },
      candidate: { success: (i + offset) % 10 !== 0 },
    });
    const same = metric(judge(goodPairs(200, failed(0)), RULES), 'regression');
    const others = metric(judge(goodPairs(200, failed(1)), RULES), 'regression');
    expect(same).to.include({ outcome: 'passed', estimate: 0 });
    expect(others).to.include({ outcome: 'inconclusive', estimate: 0 });
  });

  it('reads a bound on counts as a rate: the same violations weigh less in more episodes', () => {
    const violations = (i: number): PairFields => ({
      candidate: { constraintViolations: i % 50 === 0 ? 1 : 0 },
    });
    expect(metric(judge(goodPairs(50, violations), RULES), 'constraint-violations').outcome).to.equal(
      'inconclusive',
    );
    expect(metric(judge(goodPairs(400, violations), RULES), 'constraint-violations')).to.include({
      outcome: 'passed',
      estimate: 2,
    });
  });

  it('does not pass what was not measured', () => {
    const judgement = judge(pairs(400), RULES);
    expect(judgement.outcome).to.equal('inconclusive');
    expect(judgement.reasons).to.deep.equal([
      'constraint-violations: not measured',
      'kl-divergence: not measured',
      'ood-robustness: not measured',
    ]);
    expect(metric(judgement, 'kl-divergence')).to.deep.equal({
      name: 'kl-divergence',
      atMost: 0.5,
      outcome: 'not-measured',
      episodes: 0,
      reason: 'kl-divergence: not measured',
    });
  });

  it('passes without a metric that the owner waived, and says which', () => {
    const waived = ['constraint-violations', 'kl-divergence', 'ood-robustness'] as const;
    const judgement = judge(pairs(400), { ...RULES, waived });
    expect(judgement.outcome).to.equal('passed');
    expect(judgement.reasons[0]).to.include('constraint-violations, kl-divergence, ood-robustness');
    expect(metric(judgement, 'ood-robustness').outcome).to.equal('waived');
  });

  it('holds a waived metric to its bound where it is measured all the same', () => {
    const diverging = goodPairs(400, () => ({ candidate: { klDivergence: 2 } }));
    expect(judge(diverging, { ...RULES, waived: ['kl-divergence'] }).outcome).to.equal('failed');
  });

  it('needs episodes inside of the training distribution', () => {
    const outside = goodPairs(400, () => ({})).filter(({ candidate }) => candidate.outOfDistribution);
    expect(judge(outside, RULES).reasons[0]).to.equal('success-rate: not measured');
  });

  it('measures times on the seeds that both managed', () => {
    const judgement = judge(
      goodPairs(40, (i) => ({
        candidate: i < 20 ? { success: false } : { timeToCompleteSeconds: 7 + (i % 2) },
        baseline: { timeToCompleteSeconds: 4 },
      })),
      RULES,
    );
    expect(metric(judgement, 'time-to-complete')).to.include({
      episodes: 20,
      estimate: 3.5,
      outcome: 'reported',
    });
  });

  it('gives the same judgement of the same episodes', () => {
    expect(judge(goodPairs(60), RULES)).to.deep.equal(judge(goodPairs(60), RULES));
  });
});
