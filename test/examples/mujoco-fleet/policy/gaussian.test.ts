import { expect } from 'chai';
import { gaussianKl } from '../../../../examples/mujoco-fleet/policy/gaussian.js';

function density(x: number, mean: number, deviation: number): number {
  return Math.exp(-((x - mean) ** 2) / (2 * deviation ** 2)) / (deviation * Math.sqrt(2 * Math.PI));
}

/** Integral of p log(p / q) over ten deviations around p's mean, by the midpoint rule. */
function integrated(mean: number, deviation: number, otherMean: number, otherDeviation: number): number {
  const steps = 20_000;
  const width = (20 * deviation) / steps;
  let sum = 0;
  for (let i = 0; i < steps; i += 1) {
    const x = mean - 10 * deviation + (i + 0.5) * width;
    const p = density(x, mean, deviation);
    sum += p * Math.log(p / density(x, otherMean, otherDeviation)) * width;
  }
  return sum;
}

describe('the divergence of normal distributions', () => {
  it('is what the integral over a component is, and the sum over components', () => {
    const first = integrated(0.3, 0.5, -0.2, 0.8);
    const second = integrated(-1, 0.4, -1.5, 0.3);
    expect(gaussianKl([0.3], [0.5], [-0.2], [0.8])).to.be.closeTo(first, 1e-6);
    expect(gaussianKl([0.3, -1], [0.5, 0.4], [-0.2, -1.5], [0.8, 0.3])).to.be.closeTo(first + second, 1e-6);
  });

  it('is nothing of a distribution to itself, and not the same in both directions', () => {
    expect(gaussianKl([1, 2], [0.1, 3], [1, 2], [0.1, 3])).to.equal(0);
    expect(gaussianKl([0], [1], [0], [2])).to.not.be.closeTo(gaussianKl([0], [2], [0], [1]), 0.1);
  });
});
