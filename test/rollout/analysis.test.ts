import { expect } from 'chai';
import type { EpisodeCounts } from '../../lib/observability/episode-counts.js';
import { analyse, type Condition, conditionSchema } from '../../lib/rollout/analysis.js';
import { addTelemetry, NO_EVIDENCE } from '../../lib/rollout/evidence.js';
import { defaultAnalysis } from '../../lib/rollout/plan.js';
import { BAD, GOOD, UNCLEAR } from './support/rollout-driver.js';

const analysis = defaultAnalysis({ minSuccessRate: 0.8 });

function outcome(telemetry: EpisodeCounts, conditions: readonly Condition[] = analysis.successCondition) {
  const plan = { ...analysis, successCondition: [...conditions] };
  return analyse(plan, addTelemetry(NO_EVIDENCE, telemetry)).outcome;
}

describe('the analysis of a step', () => {
  it('passes, fails and leaves open with confidence', () => {
    expect(outcome(GOOD)).to.equal('passed');
    expect(outcome(BAD)).to.equal('failed');
    expect(outcome(UNCLEAR)).to.equal('inconclusive');
  });

  it('fails for one condition, whatever the others say', () => {
    expect(outcome({ ...GOOD, violations: 20 })).to.equal('failed');
  });

  it('concludes nothing from too few episodes, however bad', () => {
    expect(outcome({ episodes: 59, successes: 0, violations: 59, collisions: 0 })).to.equal('inconclusive');
    expect(outcome({ episodes: 60, successes: 0, violations: 60, collisions: 0 })).to.equal('failed');
  });

  it('passes by default where 60 episodes have no violation', () => {
    expect(outcome({ episodes: 60, successes: 60, violations: 0, collisions: 0 })).to.equal('passed');
  });

  it('judges means by their bounds, and what nobody reports not at all', () => {
    const atMost: Condition = { metric: 'kl-divergence-nats', must: 'be-at-most', threshold: 0.5 };
    const low = { count: 100, sum: 10, sumOfSquares: 2 };
    const high = { count: 100, sum: 90, sumOfSquares: 85 };
    expect(outcome({ ...GOOD, klDivergence: low }, [atMost])).to.equal('passed');
    expect(outcome({ ...GOOD, klDivergence: high }, [atMost])).to.equal('failed');
    expect(outcome(GOOD, [atMost])).to.equal('inconclusive');
    const latency: Condition = { metric: 'latency-ms', must: 'be-at-most', threshold: 20 };
    expect(
      outcome({ ...GOOD, latencyMs: { count: 100, sum: 1000, sumOfSquares: 10_500 } }, [latency]),
    ).to.equal('passed');
    const collisions: Condition = { metric: 'collision-rate', must: 'be-at-most', threshold: 0.1 };
    expect(outcome({ ...GOOD, collisions: 50 }, [collisions])).to.equal('failed');
  });

  it('gives results that JSON holds', () => {
    const result = analyse(analysis, NO_EVIDENCE);
    expect(JSON.parse(JSON.stringify(result))).to.deep.equal(result);
  });

  it('refuses a rate above 1 as a threshold', () => {
    const broken = { metric: 'success-rate', must: 'be-at-least', threshold: 80 };
    expect(conditionSchema.safeParse(broken).success).to.equal(false);
  });
});
