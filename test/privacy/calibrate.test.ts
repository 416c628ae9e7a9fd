import { expect } from 'chai';
import fc from 'fast-check';
import { calibrateNoise, epsilonOfNoise, type NoiseSetting } from '../../lib/privacy/calibrate.js';
import { MECHANISMS } from '../../lib/privacy/release.js';
import { roundingBound } from '../../lib/privacy/sensitivity.js';
import { expectRefusal } from '../support/refusals.js';

const setting: NoiseSetting = { mechanism: 'skellam', clip: 1, scale: 1e-3, dimension: 10_000, honest: 5 };

const anySetting = fc.record({
  mechanism: fc.constantFrom(...MECHANISMS),
  clip: fc.double({ min: 0.5, max: 2, noNaN: true }),
  scale: fc.double({ min: 4e-3, max: 2e-2, noNaN: true }),
  dimension: fc.integer({ min: 1, max: 100_000 }),
  honest: fc.integer({ min: 1, max: 100 }),
});
const anyTarget = fc.record({
  epsilon: fc.double({ min: 0.5, max: 8, noNaN: true }),
  rounds: fc.integer({ min: 1, max: 10 }),
  delta: fc.constantFrom(1e-5, 1e-6),
});

describe('the calibration of noise', () => {
  it('finds the smallest integer variance, and its multiplier leads back to it', () => {
    fc.assert(
      fc.property(anySetting, anyTarget, (any, target) => {
        const found = calibrateNoise({ ...any, ...target });
        expect(found.epsilon).to.be.at.most(target.epsilon);
        const { clientVariance } = found.release;
        const same = epsilonOfNoise({ ...any, ...target, noiseMultiplier: found.noiseMultiplier });
        expect(same).to.deep.equal(found);
        if (clientVariance > 1) {
          const noiseMultiplier = (Math.sqrt(any.honest * (clientVariance - 1)) * any.scale) / any.clip;
          const less = epsilonOfNoise({ ...any, ...target, noiseMultiplier });
          expect(less.release.clientVariance).to.equal(clientVariance - 1);
          expect(less.epsilon).to.be.greaterThan(target.epsilon);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('costs little more than a continuous Gaussian of the same multiplier where the scale is fine', () => {
    for (const mechanism of MECHANISMS) {
      const { epsilon } = epsilonOfNoise({
        ...{ ...setting, mechanism, dimension: 100 },
        ...{ noiseMultiplier: 1, rounds: 1, delta: 1e-5 },
      });
      expect(epsilon).to.be.within(4.7285, 4.72851 * 1.01);
    }
  });

  it('accounts for the rounding bound, which coarse scales and many values inflate', () => {
    const at = (change: Partial<NoiseSetting>) =>
      epsilonOfNoise({ ...setting, ...change, noiseMultiplier: 2, rounds: 1, delta: 1e-5 });
    expect(at({ scale: 0.01 }).epsilon).to.be.greaterThan(at({}).epsilon * 1.05);
    expect(at({ dimension: 1_000_000 }).epsilon).to.be.greaterThan(at({}).epsilon * 1.05);
    expect(at({}).release.l2Squared).to.equal(roundingBound(setting).l2Squared);
  });

  it('rises with rounds and falls with noise', () => {
    fc.assert(
      fc.property(anySetting, fc.double({ min: 0.5, max: 20, noNaN: true }), (any, noiseMultiplier) => {
        const at = (multiplier: number, rounds: number) =>
          epsilonOfNoise({ ...any, noiseMultiplier: multiplier, rounds, delta: 1e-5 }).epsilon;
        const base = at(noiseMultiplier, 3);
        expect(at(noiseMultiplier, 4)).to.be.at.least(base);
        fc.pre(Number.isFinite(base));
        expect(at(noiseMultiplier * 1.2, 3)).to.be.at.most(base);
      }),
      { numRuns: 60 },
    );
  });

  it('says that a target is out of reach, rather than return the nearest', async () => {
    const target = { epsilon: 1, rounds: 1, delta: 1e-5 };
    await expectRefusal('privacy.target-unreachable', () =>
      calibrateNoise({ ...setting, ...target, epsilon: 0 }),
    );
    await expectRefusal('privacy.target-unreachable', () =>
      calibrateNoise({ ...setting, ...target, scale: 1e-6, epsilon: 1e-3 }),
    );
    // The tables' distance from the exact mechanism, over so many values, is more than delta.
    await expectRefusal('privacy.target-unreachable', () =>
      calibrateNoise({ ...setting, ...target, dimension: 1e9, rounds: 10_000, delta: 1e-9 }),
    );
  });

  it('refuses what is no target', async () => {
    const target = { epsilon: 1, rounds: 1, delta: 1e-5, noiseMultiplier: 1 };
    for (const [code, change] of [
      ['privacy.bad-epsilon', { epsilon: -1 }],
      ['privacy.bad-epsilon', { epsilon: Number.NaN }],
      ['privacy.bad-delta', { delta: 0 }],
      ['privacy.bad-rounds', { rounds: 1.5 }],
      ['privacy.bad-release', { honest: 0 }],
      ['privacy.bad-rounding', { clip: 0 }],
    ] as const) {
      await expectRefusal(code, () => calibrateNoise({ ...setting, ...target, ...change }));
    }
    for (const noiseMultiplier of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      await expectRefusal('privacy.bad-noise', () =>
        epsilonOfNoise({ ...setting, ...target, noiseMultiplier }),
      );
    }
  });
});
