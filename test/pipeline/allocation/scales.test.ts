import { expect } from 'chai';
import { CLIP_HEADROOM } from '../../../lib/pipeline/allocation/clip.js';
import {
  bitsToReach,
  commonScale,
  coordinateRms,
  gridRange,
  gridScale,
  LEAST_RANGE,
  peakRange,
} from '../../../lib/pipeline/allocation/scales.js';
import { refusal } from './refusals.js';
import { norm, normal, roundStochastically, seededUniform } from './sampling.js';

/** Squared error of an average, in units of the typical size, by summing over a fine mesh of the normal density. */
function squaredError(bits: number, range: number, clients: number): number {
  const level = 2 ** (bits - 1) - 1;
  const gamma = (range * CLIP_HEADROOM) / level;
  const step = 1e-3;
  let sum = 0;
  for (let x = step / 2; x < 9; x += step) {
    const y = x / gamma;
    const f = y - Math.floor(y);
    const error = y > level ? (y - level) ** 2 : (f * (1 - f)) / clients;
    sum += 2 * error * gamma ** 2 * Math.exp((-x * x) / 2) * step;
  }
  return sum / Math.sqrt(2 * Math.PI);
}

describe('the range of a grid', () => {
  it('has the least squared error of all ranges that saturate at most one in a thousand at the clip', () => {
    for (const bits of [2, 3, 4, 5, 6, 7, 8]) {
      for (const clients of [1, 16, 1000]) {
        const chosen = gridRange(bits, clients);
        expect(chosen).to.be.within(LEAST_RANGE, 8);
        const error = squaredError(bits, chosen, clients);
        for (let range = LEAST_RANGE; range < 6; range += 0.15) {
          expect(error, `${bits} bits, ${clients} clients`).to.be.at.most(
            squaredError(bits, range, clients) * 1.001,
          );
        }
      }
    }
  });

  it('saturates a thousandth of the coordinates of a client that fills the clip, and far fewer of a typical one', () => {
    const uniform = seededUniform(1);
    const samples = 300_000;
    const typical = LEAST_RANGE * CLIP_HEADROOM;
    let atClip = 0;
    let usual = 0;
    for (let i = 0; i < samples; i += 1) {
      const x = Math.abs(normal(uniform));
      if (x > LEAST_RANGE) atClip += 1;
      if (x > typical) usual += 1;
    }
    expect(atClip / samples).to.be.within(0.0008, 0.0012);
    expect(usual / samples).to.be.within(0.00008, 0.00024);
  });

  it('grows with the clients, whose average keeps the saturation and loses the rounding', () => {
    const ranges = [1, 16, 256, 4096].map((clients) => gridRange(8, clients));
    for (let i = 1; i < ranges.length; i += 1) expect(ranges[i]).to.be.above(ranges[i - 1] as number);
    expect(gridRange(2, 1)).to.equal(LEAST_RANGE);
  });

  it('of a tensor that is not rotated follows its largest value', () => {
    expect(gridScale(4, 2, peakRange(10, 1)) * 7).to.be.closeTo(30, 1e-12);
    expect(refusal(() => peakRange(0, 1)).code).to.equal('plan.argument-out-of-range');
  });
});

describe('the size of a coordinate at the clip', () => {
  it('fills the clip exactly, in the proportions of the steady state', () => {
    const tensors = [
      { energy: 4, keepRatio: 0.1, count: 100 },
      { energy: 1, keepRatio: 1, count: 50 },
      { energy: 0, keepRatio: 0.5, count: 10 },
    ];
    const rms = coordinateRms(3, tensors);
    const energies = rms.map((r, m) => r ** 2 * (tensors[m] as { count: number }).count);
    expect(Math.sqrt(energies.reduce((a, b) => a + b, 0))).to.be.closeTo(3, 1e-12);
    expect((energies[0] as number) / (energies[1] as number)).to.be.closeTo((4 * 1.9) / 0.1, 1e-9);
    expect(energies[2]).to.equal(0);
  });

  it('is the same in all tensors where ratios go with the square root of the density, nearly', () => {
    const [a, b] = coordinateRms(1, [
      { energy: 100, keepRatio: 0.01, count: 100 },
      { energy: 2500, keepRatio: 0.05, count: 500 },
    ]);
    expect((a as number) / (b as number)).to.be.closeTo(1, 0.02);
  });

  it('is refused where there is no energy', () => {
    expect(refusal(() => coordinateRms(1, [{ energy: 0, keepRatio: 1, count: 1 }])).code).to.equal(
      'plan.argument-out-of-range',
    );
  });
});

describe('the one grid of a private round', () => {
  it('inflates the squared norm of an update at the clip by four percent, as rounding shows', () => {
    const dimension = 4000;
    const { scale, squaredSensitivityInflation } = commonScale({ clip: 5, dimension });
    expect(squaredSensitivityInflation).to.be.closeTo(0.04, 1e-12);
    const uniform = seededUniform(8);
    const raw = Array.from({ length: dimension }, () => normal(uniform));
    const factor = 5 / norm(raw);
    let squared = 0;
    const repeats = 50;
    for (let r = 0; r < repeats; r += 1) {
      const levels = raw.map((x) => scale * roundStochastically((x * factor) / scale, 127, uniform));
      squared += norm(levels) ** 2 / repeats;
    }
    // f(1-f) is 1/6 on the average and 1/4 at most: the bound is met with some to spare.
    const inflation = squared / 25 - 1;
    expect(inflation).to.be.closeTo((squaredSensitivityInflation * 4) / 6, 0.003);
    expect(inflation).to.be.below(squaredSensitivityInflation);
  });

  it('takes the fewest bits that reach the range', () => {
    expect(bitsToReach(7, 1)).to.equal(4);
    expect(bitsToReach(7.1, 1)).to.equal(5);
    expect(bitsToReach(0.1, 1)).to.equal(2);
    expect(bitsToReach(128, 1)).to.equal(9);
  });
});
