import { expect } from 'chai';
import type { EpisodePair } from '../../../lib/evaluation/episodes/pairs.js';
import { judge } from '../../../lib/evaluation/gate/gate.js';
import { planLooks } from '../../../lib/evaluation/gate/looks.js';
import { WAIVABLE_METRICS } from '../../../lib/package/messages/verdict.js';
import { SeededRandom } from '../../privacy/support/seeded-random.js';
import { SAFETY } from '../support/episodes.js';

interface Rates {
  /** The candidate's success rate. */
  readonly success: number;
  /** Share of seeds that the baseline manages and the candidate does not. */
  readonly lost: number;
}

const ERROR = 0.05;
const RUNS = 400;

/** Share of whole evaluations, all looks included, that end with this outcome. */
function shareOf(outcome: 'passed' | 'failed', rates: Rates, limitError?: number): number {
  const random = new SeededRandom(1_234_567);
  const plan = planLooks(50, 200, 1 - ERROR);
  const rules = { safety: SAFETY, limitError: limitError ?? plan.limitError, waived: WAIVABLE_METRICS };
  let count = 0;
  for (let run = 0; run < RUNS; run += 1) {
    const pairs: EpisodePair[] = [];
    for (const episodes of plan.episodes) {
      while (pairs.length < episodes) pairs.push(pairOf(random.unit(), rates, pairs.length));
      const judgement = judge(pairs, rules);
      if (judgement.outcome === 'inconclusive') continue;
      if (judgement.outcome === outcome) count += 1;
      break;
    }
  }
  return count / RUNS;
}

function pairOf(unit: number, { success, lost }: Rates, seed: number): EpisodePair {
  const common = { seed, outOfDistribution: false };
  return {
    candidate: { ...common, adapter: 'candidate', success: unit < success },
    baseline: { ...common, adapter: 'baseline', success: unit < success + lost },
  };
}

describe('an evaluation with several looks', () => {
  it('passes a candidate at the edge of the success bound no more often than its confidence allows', () => {
    const passed = shareOf('passed', { success: SAFETY.minSuccessRate - 1e-9, lost: 0 });
    expect(passed).to.be.at.most(ERROR);
    // The simulation can tell: it happens.
    expect(passed).to.be.above(0.005);
  });

  it('passes a candidate at the edge of the regression bound no more often than its confidence allows', () => {
    const passed = shareOf('passed', { success: 0.94, lost: SAFETY.maxRegression });
    expect(passed).to.be.at.most(ERROR);
    expect(passed).to.be.above(0.005);
  });

  it('would pass it too often if every look had the whole error', () => {
    expect(shareOf('passed', { success: SAFETY.minSuccessRate - 1e-9, lost: 0 }, ERROR)).to.be.above(ERROR);
  });

  it('nearly always passes a good candidate, and fails a bad one', () => {
    expect(shareOf('passed', { success: 0.95, lost: 0.005 })).to.be.above(0.95);
    expect(shareOf('failed', { success: 0.6, lost: 0.3 })).to.be.above(0.99);
  });
});
