import { expect } from 'chai';
import { meanBounds, normalQuantile, rateBounds, studentQuantile } from '../../lib/rollout/statistics.js';

describe('bounds of rates and means', () => {
  it('has the quantiles of the normal distribution', () => {
    expect(normalQuantile(0.5)).to.be.closeTo(0, 1e-9);
    expect(normalQuantile(0.95)).to.be.closeTo(1.6448536269514722, 1e-9);
    expect(normalQuantile(0.999)).to.be.closeTo(3.090232306167813, 1e-9);
  });

  it('has the quantiles of Student to a percent, as tables give them', () => {
    for (const [confidence, degreesOfFreedom, expected] of [
      [0.95, 9, 1.8331],
      [0.99, 9, 2.8214],
      [0.999, 9, 4.2968],
      [0.95, 30, 1.6973],
      [0.99, 60, 2.3901],
    ] as const) {
      expect(studentQuantile(confidence, degreesOfFreedom) / expected).to.be.closeTo(1, 0.01);
    }
  });

  it('has the bounds of Wilson', () => {
    // Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263 and 0 of 20, two-sided 95 %.
    const many = rateBounds(81, 263, 0.975);
    expect(many.lower).to.be.closeTo(0.2553, 1e-4);
    expect(many.upper).to.be.closeTo(0.3662, 1e-4);
    const none = rateBounds(0, 20, 0.975);
    expect(none.lower).to.be.closeTo(0, 1e-12);
    expect(none.upper).to.be.closeTo(0.1611, 1e-4);
  });

  it('claims nothing of what was not measured', () => {
    expect(rateBounds(0, 0, 0.95)).to.deep.equal({ lower: 0, upper: 1 });
    expect(meanBounds({ count: 9, sum: 9, sumOfSquares: 9 }, 0.95)).to.deep.equal({
      lower: 0,
      upper: Number.MAX_VALUE,
    });
  });

  it('bounds a mean by its spread', () => {
    // 1..10: mean 5.5, standard deviation 3.02765, t(0.95, 9) = 1.8331.
    const { lower, upper } = meanBounds({ count: 10, sum: 55, sumOfSquares: 385 }, 0.95);
    const half = (1.8331 * 3.02765) / Math.sqrt(10);
    expect(lower).to.be.closeTo(5.5 - half, 0.01);
    expect(upper).to.be.closeTo(5.5 + half, 0.01);
    expect(meanBounds({ count: 10, sum: 30, sumOfSquares: 90 }, 0.95)).to.deep.equal({ lower: 3, upper: 3 });
  });
});
