import { expect } from 'chai';
import { normalDensity, normalUpperTail } from '../../../lib/pipeline/allocation/normal-distribution.js';
import {
  gaussianQuantizationError,
  largestRoundingVariance,
  topLevel,
} from '../../../lib/pipeline/allocation/rounding-error.js';
import { normal, roundStochastically, seededUniform } from './sampling.js';

/** Integrates over the normal density by the midpoint rule, cells of the grid never straddled. */
function integrate(sigma: number, of: (x: number) => number): number {
  const step = 1 / Math.ceil(400 / Math.min(1, sigma));
  let sum = 0;
  for (let x = step / 2; x < 12 * sigma; x += step) sum += of(x) * Math.exp(-((x / sigma) ** 2) / 2) * step;
  return (2 * sum) / (sigma * Math.sqrt(2 * Math.PI));
}

describe('the normal distribution', () => {
  it('has the upper tails of published tables', () => {
    // erfc(x / sqrt 2) / 2 of the C library.
    const table: [number, number][] = [
      [0, 0.5],
      [1, 0.15865525393145707],
      [2, 0.02275013194817922],
      [2.999999, 0.001349902463485155],
      [3, 0.0013498980316300957],
      [5, 2.866515718791946e-7],
      [8, 6.220960574271819e-16],
    ];
    for (const [x, tail] of table) expect(normalUpperTail(x) / tail, `at ${x}`).to.be.closeTo(1, 1e-11);
    expect(normalUpperTail(Number.POSITIVE_INFINITY)).to.equal(0);
  });

  it('has a tail whose slope is the density, across the change of method', () => {
    for (const x of [0.5, 2.9, 2.9999, 3.0001, 4, 6]) {
      const h = 1e-4;
      const slope = (normalUpperTail(x - h) - normalUpperTail(x + h)) / (2 * h);
      expect(slope / normalDensity(x)).to.be.closeTo(1, 1e-6);
    }
  });
});

describe('the predicted error of stochastic rounding', () => {
  const cases = [2, 3, 4, 6].flatMap((bits) =>
    [0.05, 0.109, 0.112, 0.3, 1, 4].map((sigma) => [bits, sigma] as const),
  );

  it('is the integral of f(1-f) and of the squared excess over the normal density', () => {
    for (const [bits, sigma] of cases) {
      const level = topLevel(bits);
      const predicted = gaussianQuantizationError(sigma, level);
      const rounding = integrate(sigma, (x) => (x > level ? 0 : (x % 1) * (1 - (x % 1))));
      const saturation = integrate(sigma, (x) => Math.max(0, x - level) ** 2);
      const saturated = integrate(sigma, (x) => (x > level ? 1 : 0));
      const label = `${bits} bits, sigma ${sigma}`;
      expect(predicted.rounding, label).to.be.closeTo(rounding, 1e-5 * rounding + 1e-12);
      expect(predicted.saturation, label).to.be.closeTo(saturation, 1e-5 * saturation + 1e-10);
      expect(predicted.saturatedFraction, label).to.be.closeTo(saturated, 1e-4 * saturated + 1e-12);
    }
  });

  it('is what rounding random coordinates costs', () => {
    const uniform = seededUniform(20240);
    const samples = 200_000;
    for (const [bits, sigma] of [
      [2, 0.26],
      [2, 0.9],
      [4, 2.2],
      [8, 33],
    ] as const) {
      const level = topLevel(bits);
      let squared = 0;
      let saturated = 0;
      for (let i = 0; i < samples; i += 1) {
        const x = sigma * normal(uniform);
        squared += (roundStochastically(x, level, uniform) - x) ** 2;
        if (Math.abs(x) > level) saturated += 1;
      }
      const predicted = gaussianQuantizationError(sigma, level);
      expect(squared / samples / (predicted.rounding + predicted.saturation)).to.be.closeTo(1, 0.02);
      const deviation = Math.sqrt(predicted.saturatedFraction / samples);
      expect(saturated / samples).to.be.closeTo(predicted.saturatedFraction, 5 * deviation + 1e-9);
    }
  });

  it('is far from 1/6 on a coarse grid, and 1/6 on a fine one', () => {
    expect(gaussianQuantizationError(0.05, 1).rounding).to.be.below(0.04);
    expect(gaussianQuantizationError(20, 127).rounding).to.be.closeTo(1 / 6, 1e-6);
  });

  it('is zero for a coordinate that is zero', () => {
    expect(gaussianQuantizationError(0, 7)).to.deep.equal({
      rounding: 0,
      saturation: 0,
      saturatedFraction: 0,
    });
  });

  it('has an upper bound over all distributions that a constant size attains', () => {
    for (const sigma of [0.01, 0.1, 0.26, 0.49, 0.5]) {
      const bound = largestRoundingVariance(sigma);
      expect(bound).to.be.closeTo(sigma * (1 - sigma), 1e-15);
      // Any mixture of two sizes of the same mean square costs less.
      for (const small of [0, 0.3, 0.7, 0.95]) {
        for (const share of [0.1, 0.5, 0.9]) {
          const a = small * sigma;
          const b = Math.sqrt((sigma ** 2 - share * a ** 2) / (1 - share));
          const f = b % 1;
          expect(share * a * (1 - a) + (1 - share) * f * (1 - f)).to.be.at.most(bound + 1e-12);
        }
      }
      expect(gaussianQuantizationError(sigma, 1000).rounding).to.be.at.most(bound);
    }
    expect(largestRoundingVariance(3)).to.equal(0.25);
  });
});
