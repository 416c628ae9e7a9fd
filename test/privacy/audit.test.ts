import { expect } from 'chai';
import { expenseEpsilon, expenseOf } from '../../lib/privacy/guarantee.js';
import { type NoiseTable, noiseTable } from '../../lib/privacy/noise-table.js';
import { MECHANISMS, type Mechanism, type Release } from '../../lib/privacy/release.js';
import { samplerDelta } from '../../lib/privacy/sampler-distance.js';
import { roundingBound } from '../../lib/privacy/sensitivity.js';
import { lowerBound, upperBound } from './support/clopper-pearson.js';
import { SeededRandom } from './support/seeded-random.js';
import { drawNoise, roundWithin } from './support/simulated-mechanism.js';

const DELTA = 1e-5;
const RUNS = 40_000;
const HONEST = 2;
const SCALE = 0.025;
/** A client at the clip norm, none of whose values is a whole number of quanta. */
const INPUT = [0.51, -0.49, 0.5, Math.sqrt(1 - 0.51 ** 2 - 0.49 ** 2 - 0.25)];

function releaseOf(mechanism: Mechanism, clientVariance: number): Release {
  const dimension = INPUT.length;
  const { l2Squared } = roundingBound({ clip: 1, scale: SCALE, dimension });
  return { mechanism, clientVariance, honest: HONEST, l2Squared, dimension, draws: 1 };
}

/** The score of one released sum: its component along the input, where the two hypotheses differ. */
function score(input: readonly number[], release: Release, table: NoiseTable, random: SeededRandom): number {
  const rounded = roundWithin(input, SCALE, release.l2Squared, random);
  return rounded.reduce((sum, value, index) => {
    let noisy = value;
    for (let client = 0; client < HONEST; client += 1) noisy += drawNoise(table, random);
    return sum + noisy * (INPUT[index] ?? 0);
  }, 0);
}

function scores(
  input: readonly number[],
  release: Release,
  table: NoiseTable,
  random: SeededRandom,
): number[] {
  return Array.from({ length: RUNS }, () => score(input, release, table, random));
}

const share = (values: readonly number[], threshold: number): number =>
  values.filter((value) => value > threshold).length;

/**
 * A lower bound of epsilon, at 99.9 % confidence, from the best test "score above a threshold": (epsilon, delta)
 * implies P(S) <= e^epsilon Q(S) + delta. The threshold is chosen on other runs than those that it is judged by.
 */
function empiricalEpsilon(release: Release, table: NoiseTable, seed: number): number {
  const random = new SeededRandom(seed);
  const zero = INPUT.map(() => 0);
  const [chooseWith, chooseWithout, judgeWith, judgeWithout] = [INPUT, zero, INPUT, zero].map((input) =>
    scores(input, release, table, random),
  ) as [number[], number[], number[], number[]];
  const epsilonAt = (present: readonly number[], absent: readonly number[], threshold: number): number => {
    const truePositive = lowerBound(share(present, threshold), RUNS, 0.0005);
    const falsePositive = upperBound(share(absent, threshold), RUNS, 0.0005);
    return Math.log(Math.max(Number.MIN_VALUE, truePositive - DELTA) / falsePositive);
  };
  const ordered = [...chooseWithout].sort((a, b) => b - a);
  const thresholds = [5, 10, 20, 40, 80, 160, 320, 640, 1280, 5000].map((rank) => ordered[rank] ?? 0);
  const best = thresholds.reduce((a, b) =>
    epsilonAt(chooseWith, chooseWithout, b) > epsilonAt(chooseWith, chooseWithout, a) ? b : a,
  );
  return epsilonAt(judgeWith, judgeWithout, best);
}

describe('an attack on the noisy sum of one client more or less', () => {
  for (const mechanism of MECHANISMS) {
    // Two honest clients, noise multiplier 1.5: variance 1.5^2 * 40^2 / 2 each.
    const release = releaseOf(mechanism, 1800);
    const table = noiseTable({ mechanism, variance: 1800 });
    const claimed = expenseEpsilon(expenseOf(release, samplerDelta(release, table.totalVariation)), DELTA);

    it(`learns something, and no more than the accountant says: ${mechanism}`, () => {
      const learnt = empiricalEpsilon(release, table, 1);
      expect(claimed).to.be.within(2.5, 3.5);
      expect(learnt).to.be.greaterThan(0.5);
      expect(learnt).to.be.lessThan(claimed);
    });

    it(`finds out when the noise has a third of the promised standard deviation: ${mechanism}`, () => {
      const broken = noiseTable({ mechanism, variance: 200 });
      expect(empiricalEpsilon(release, broken, 2)).to.be.greaterThan(claimed);
    });

    it(`finds out when only one draw of eight is added: ${mechanism}`, () => {
      const broken = { ...noiseTable({ mechanism, variance: 1800, draws: 8 }), draws: 1 };
      expect(empiricalEpsilon(release, broken, 3)).to.be.greaterThan(claimed);
    });
  }
});
