/** Outliers among what clients report. */
import { expect } from 'chai';
import fc from 'fast-check';
import { outlierCandidates } from '../../../lib/round/outliers/candidates.js';
import type { OutlierCandidate } from '../../../lib/round/outliers/outlier-test.js';
import { judgeReported, reportedStatisticTest } from '../../../lib/round/outliers/reported-statistic.js';
import { fingerprint, TestRound } from '../machine/support/test-round.js';

function candidates(values: readonly (number | undefined)[]): OutlierCandidate[] {
  return values.map((value, i) => ({
    client: `client-${i + 1}`,
    fingerprint: fingerprint(`update ${i}`),
    statistics: value === undefined ? {} : { gradientNormMax: value },
  }));
}

function flagged(values: readonly (number | undefined)[]): number[] {
  return judgeReported(candidates(values), 'gradientNormMax').flatMap((verdict, i) =>
    verdict.flagged ? [i] : [],
  );
}

describe('outliers by the median absolute deviation', () => {
  it('flags what is above the median by more than 3 * 1.4826 deviations', () => {
    // Median 3, deviations 2 1 0 1 97, their median 1: the limit is 7.4478.
    const [first, , , , last] = judgeReported(candidates([1, 2, 3, 4, 100]), 'gradientNormMax');
    expect(last).to.deep.include({ client: 'client-5', flagged: true, value: 100 });
    expect(last?.limit).to.be.closeTo(7.4478, 1e-12);
    expect(first).to.deep.include({ flagged: false, value: 1 });
    expect(flagged([1, 2, 3, 4, 7.4477])).to.deep.equal([]);
    expect(flagged([1, 2, 3, 4, 7.4479])).to.deep.equal([4]);
  });

  it('takes the mean of the two in the middle of an even number', () => {
    // Median 2.5, deviations 1.5 0.5 0.5 6.5, their median 1: the limit is 6.9478.
    expect(judgeReported(candidates([1, 2, 3, 9]), 'gradientNormMax')[3]?.limit).to.be.closeTo(6.9478, 1e-12);
  });

  it('flags nobody among two', () => {
    expect(flagged([1, 1_000])).to.deep.equal([]);
    expect(flagged([1, undefined, 1_000])).to.deep.equal([]);
  });

  it('flags nobody where most say the same', () => {
    expect(flagged([1, 1, 1, 1_000])).to.deep.equal([]);
  });

  it('flags nobody who says nothing, or less than the others', () => {
    expect(flagged([100, 101, 102, undefined, 0])).to.deep.equal([]);
  });

  it('gives a verdict for each candidate in its order, and never flags half of them', () => {
    const value = fc.oneof(fc.double({ min: 0, max: 1e300, noNaN: true }), fc.constant(undefined));
    fc.assert(
      fc.property(fc.array(value, { maxLength: 30 }), (values) => {
        const verdicts = judgeReported(candidates(values), 'gradientNormMax');
        expect(verdicts.map(({ client }) => client)).to.deep.equal(
          candidates(values).map(({ client }) => client),
        );
        expect(verdicts.filter((verdict) => verdict.flagged).length * 2).to.be.at.most(values.length);
      }),
    );
  });

  it('does not depend on the order or the unit', () => {
    const values = fc.array(fc.integer({ min: 0, max: 1_000 }), { maxLength: 20 });
    fc.assert(
      fc.property(values, fc.integer({ min: -20, max: 20 }), (norms, exponent) => {
        const chosen = flagged(norms).map((i) => norms[i]);
        const mirrored = [...norms].reverse();
        expect(
          flagged(mirrored)
            .map((i) => mirrored[i])
            .reverse(),
        ).to.deep.equal(chosen);
        expect(flagged(norms.map((norm) => norm * 2 ** exponent))).to.deep.equal(flagged(norms));
      }),
    );
  });

  it('judges the updates of a round by their maximum, or by their mean', async () => {
    const round = TestRound.opened();
    for (const [i, norm] of [1, 2, 3, 50].entries()) {
      round.send({
        ...round.received(`client-${i + 1}`),
        statistics: { gradientNormMax: norm, gradientNormMean: 1 },
      });
    }
    const found = outlierCandidates(round.state);
    const byMaximum = await reportedStatisticTest().judge(found);
    expect(byMaximum.filter((verdict) => verdict.flagged).map(({ client }) => client)).to.deep.equal([
      'client-4',
    ]);
    const byMean = await reportedStatisticTest('gradientNormMean').judge(found);
    expect(byMean.some((verdict) => verdict.flagged)).to.equal(false);
    expect(reportedStatisticTest().name).to.equal('reported-gradient-norm-max-mad');
  });
});
