import { expect } from 'chai';
import { safetyIn, showsFloors } from '../../../../examples/mujoco-fleet/operation/safety-stages.js';
import { presetPolicy } from '../../../../lib/index.js';
import type { VerdictMetric } from '../../../../lib/package/messages/verdict.js';

const { safety } = presetPolicy('balanced');

function metric(name: VerdictMetric['name'], lower?: number): VerdictMetric {
  const limits = lower === undefined ? {} : { estimate: 0.95, lower, upper: 1 };
  return { name, ...limits, outcome: 'reported', episodes: 100, reason: 'measured' };
}

describe('the stages of a fleet', () => {
  it('differ in the floors alone', () => {
    expect(safetyIn('operation', safety)).to.equal(safety);
    expect(safetyIn('set-up', safety)).to.deep.equal({ ...safety, minSuccessRate: 0, minOodRobustness: 0 });
  });

  it('change by what was shown with confidence, at known sites and at unseen ones', () => {
    const good = metric('success-rate', 0.8);
    expect(showsFloors([good, metric('ood-robustness', 0.6)], safety)).to.equal(true);
    expect(showsFloors([good, metric('ood-robustness', 0.59)], safety)).to.equal(false);
    expect(
      showsFloors([metric('success-rate', 0.79), metric('ood-robustness', 0.6)], safety),
      'an estimate above the floor is not enough',
    ).to.equal(false);
    expect(showsFloors([good, metric('ood-robustness')], safety), 'without limits').to.equal(false);
    expect(showsFloors([good], safety), 'not measured').to.equal(false);
  });
});
