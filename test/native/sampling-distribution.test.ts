import { expect } from 'chai';
import { RINGS } from '../support/oracle/ring.js';
import { seededBytes } from '../support/oracle/seeded.js';
import { testingAddon } from '../support/testing-addon.js';

// Keys are fixed, so these tests pass always or never. All instruction sets draw the same samples
// (sampling.test.ts); the widest one is the fastest.
const isa = testingAddon.isas().at(-1) as string;
const SAMPLES = 2 ** 20;
// Critical values at a significance of 10^-4, and the normal quantile for it, two-sided.
const CHI_SQUARE_255 = 347.654;
const CHI_SQUARE_32 = 70.571;
const NORMAL = 3.891;

/** sum over the bins of (observed - expected)^2 / expected. */
function chiSquare(observed: ArrayLike<number>, expected: (bin: number) => number): number {
  return Array.from(observed).reduce(
    (sum, count, bin) => sum + (count - expected(bin)) ** 2 / expected(bin),
    0,
  );
}

function moment(samples: ArrayLike<number>, of: (x: number) => number): number {
  let sum = 0;
  for (let i = 0; i < samples.length; i += 1) sum += of(samples[i] as number);
  return sum / samples.length;
}

/** TUniform(2): uniform on -3..3 with half the weight at +-4; here the sum of four, by convolution. */
function smallProbabilities(): number[] {
  const single = [1, 2, 2, 2, 2, 2, 2, 2, 1].map((weight) => weight / 16);
  let pmf = [1];
  for (let term = 0; term < 4; term += 1) {
    const next = new Array<number>(pmf.length + 8).fill(0);
    pmf.forEach((a, i) => {
      single.forEach((b, j) => {
        next[i + j] = (next[i + j] as number) + a * b;
      });
    });
    pmf = next;
  }
  return pmf;
}

for (const ring of RINGS) {
  describe(`uniform samples (${ring.name})`, () => {
    const key = seededBytes(1, 'uniform');
    const samples = testingAddon.sampleUniform(isa, ring.nativeId, key, 0, SAMPLES / ring.n);

    it('lie in [0, q) and reach both ends', () => {
      const [least, greatest] = samples.reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)], [ring.q, 0]);
      expect(least).to.be.below(ring.q / 10_000);
      expect(greatest).to.be.within(ring.q - ring.q / 10_000, ring.q - 1);
    });

    it('have the mean and the variance of the uniform distribution', () => {
      const scale = Math.sqrt(1 / 12);
      const standardized = (x: number): number => (x / ring.q - 0.5) / scale;
      expect(Math.abs(moment(samples, standardized)) * Math.sqrt(SAMPLES)).to.be.below(NORMAL);
      // The fourth moment of a standardized uniform variable is 9/5.
      const variance = moment(samples, (x) => standardized(x) ** 2);
      expect(Math.abs(variance - 1) * Math.sqrt(SAMPLES / 0.8)).to.be.below(NORMAL);
    });

    it('fill 256 equal intervals, and 256 residues, evenly', () => {
      const byInterval = new Uint32Array(256);
      const byResidue = new Uint32Array(256);
      for (const x of samples) {
        const interval = Math.floor((x * 256) / ring.q);
        byInterval[interval] = (byInterval[interval] as number) + 1;
        byResidue[x % 256] = (byResidue[x % 256] as number) + 1;
      }
      expect(chiSquare(byInterval, () => SAMPLES / 256)).to.be.below(CHI_SQUARE_255);
      expect(chiSquare(byResidue, () => SAMPLES / 256)).to.be.below(CHI_SQUARE_255);
    });

    it('do not repeat from one element to the next', () => {
      const correlation = moment(
        samples.subarray(ring.n),
        (() => {
          let i = 0;
          return (x: number) => (x / ring.q - 0.5) * ((samples[i++] as number) / ring.q - 0.5) * 12;
        })(),
      );
      expect(Math.abs(correlation) * Math.sqrt(SAMPLES - ring.n)).to.be.below(NORMAL);
    });
  });

  describe(`small samples (${ring.name})`, () => {
    const key = seededBytes(1, 'small');
    const samples = testingAddon.sampleSmall(isa, ring.nativeId, key, 0, SAMPLES / ring.n);
    const probabilities = smallProbabilities();

    it('have mean 0, variance 22 and the fourth moment of four TUniform(2)', () => {
      const fourth = probabilities.reduce((sum, p, i) => sum + p * (i - 16) ** 4, 0);
      const eighth = probabilities.reduce((sum, p, i) => sum + p * (i - 16) ** 8, 0);
      const root = Math.sqrt(SAMPLES);
      expect(Math.abs(moment(samples, (x) => x)) * root).to.be.below(NORMAL * Math.sqrt(22));
      expect(Math.abs(moment(samples, (x) => x ** 2) - 22) * root).to.be.below(
        NORMAL * Math.sqrt(fourth - 22 ** 2),
      );
      expect(Math.abs(moment(samples, (x) => x ** 4) - fourth) * root).to.be.below(
        NORMAL * Math.sqrt(eighth - fourth ** 2),
      );
    });

    it('have the exact distribution, -16 and 16 included', () => {
      const observed = new Uint32Array(33);
      for (const x of samples) observed[x + 16] = (observed[x + 16] as number) + 1;
      expect(observed.reduce((a, b) => a + b, 0)).to.equal(SAMPLES);
      // The rarest values, -16 and 16, are expected 16 times each.
      expect(chiSquare(observed, (bin) => (probabilities[bin] as number) * SAMPLES)).to.be.below(
        CHI_SQUARE_32,
      );
    });

    it('do not depend on the other half of their word, nor on their neighbour', () => {
      for (const lag of [ring.n / 2, 1]) {
        let sum = 0;
        for (let i = 0; i + lag < SAMPLES; i += 1)
          sum += (samples[i] as number) * (samples[i + lag] as number);
        expect(Math.abs(sum / 22) / Math.sqrt(SAMPLES - lag)).to.be.below(NORMAL);
      }
    });
  });
}
