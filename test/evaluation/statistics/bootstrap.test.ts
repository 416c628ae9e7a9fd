import { expect } from 'chai';
import { bootstrapMeanInterval, MIN_BOOTSTRAP_VALUES } from '../../../lib/evaluation/statistics/bootstrap.js';
import { SeededRandom } from '../../privacy/support/seeded-random.js';

/** Exponential with mean 1: skewed as divergences are. */
function exponentials(random: SeededRandom, count: number): number[] {
  return Array.from({ length: count }, () => -Math.log(1 - random.unit()));
}

describe('limits of a mean by the bootstrap', () => {
  it('are the same every time', () => {
    const values = exponentials(new SeededRandom(1), 50);
    expect(bootstrapMeanInterval(values, 0.05)).to.deep.equal(bootstrapMeanInterval([...values], 0.05));
  });

  it('are close to those of Student where values are symmetric', () => {
    // 0.5, 1.5, ..., 99.5 shuffled or not: mean 50, standard error 2.9011; t(99, 0.05) = 1.6604.
    const values = Array.from({ length: 100 }, (_, i) => i + 0.5);
    const interval = bootstrapMeanInterval(values, 0.05);
    expect(interval?.lower).to.be.closeTo(50 - 1.6604 * 2.9011, 0.2);
    expect(interval?.upper).to.be.closeTo(50 + 1.6604 * 2.9011, 0.2);
  });

  it('move and stretch with the values', () => {
    const values = exponentials(new SeededRandom(2), 40);
    const own = bootstrapMeanInterval(values, 0.05);
    const moved = bootstrapMeanInterval(
      values.map((value) => 1000 + 8 * value),
      0.05,
    );
    expect(moved?.lower).to.be.closeTo(1000 + 8 * (own?.lower as number), 1e-6);
    expect(moved?.upper).to.be.closeTo(1000 + 8 * (own?.upper as number), 1e-6);
  });

  it('follow a skew: the upper limit is further away', () => {
    const values = exponentials(new SeededRandom(3), 60);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const interval = bootstrapMeanInterval(values, 0.025);
    expect((interval?.upper as number) - mean).to.be.above(1.2 * (mean - (interval?.lower as number)));
  });

  it('are the value itself where all are alike, and none where they are few or nearly alike', () => {
    expect(bootstrapMeanInterval(new Array<number>(30).fill(0), 0.05)).to.deep.equal({ lower: 0, upper: 0 });
    expect(bootstrapMeanInterval(exponentials(new SeededRandom(4), MIN_BOOTSTRAP_VALUES - 1), 0.05)).to.equal(
      undefined,
    );
    // One value differs: many resamples miss it, and have no spread to measure a deviation by.
    expect(bootstrapMeanInterval([1, ...new Array<number>(29).fill(0)], 0.05)).to.equal(undefined);
  });

  it('are wrong about as often as asked for, of skewed values: simulation', () => {
    const random = new SeededRandom(5);
    const runs = 300;
    let wrong = 0;
    for (let run = 0; run < runs; run += 1) {
      const interval = bootstrapMeanInterval(exponentials(random, 40), 0.05);
      if ((interval?.upper as number) < 1) wrong += 1;
    }
    // 0.05, give or take two and a half standard errors of the simulation.
    expect(wrong / runs).to.be.at.most(0.082);
  });
});
