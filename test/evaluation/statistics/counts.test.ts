import { expect } from 'chai';
import fc from 'fast-check';
import { meanCountInterval } from '../../../lib/evaluation/statistics/counts.js';
import { SeededRandom } from '../../privacy/support/seeded-random.js';

/** `events` episodes with one event each among `episodes`. */
const singles = (events: number, episodes: number): number[] =>
  Array.from({ length: episodes }, (_, i) => (i < events ? 1 : 0));

describe('limits of a mean count', () => {
  it('are the exact ones of Garwood where episodes have one event at most', () => {
    // Garwood 1936, 95 % two-sided: what every table of Poisson limits has.
    for (const [events, lower, upper] of [
      [0, 0, 3.6889],
      [1, 0.0253, 5.5716],
      [3, 0.6187, 8.7673],
      [10, 4.7954, 18.3904],
    ] as const) {
      const interval = meanCountInterval(singles(events, 50), 0.025);
      expect(interval.lower * 50).to.be.closeTo(lower, 5e-5);
      expect(interval.upper * 50).to.be.closeTo(upper, 5e-5);
    }
  });

  it('widen where events come in clusters', () => {
    const clustered = Array.from({ length: 100 }, (_, i) => (i === 0 ? 12 : 0));
    const spread = singles(12, 100);
    const [wide, narrow] = [meanCountInterval(clustered, 0.05), meanCountInterval(spread, 0.05)];
    expect(wide.upper).to.be.above(1.5 * narrow.upper);
    expect(wide.lower).to.be.below(narrow.lower);
  });

  it('contain the mean, and grow with every event', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { minLength: 1, maxLength: 100 }), (counts) => {
        const { lower, upper } = meanCountInterval(counts, 0.05);
        const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
        expect(mean).to.be.within(lower, upper);
        const more = meanCountInterval([...counts.slice(1), (counts[0] as number) + 1], 0.05);
        expect(more.upper).to.be.above(upper);
      }),
    );
  });

  it('are wrong no more often than asked for where one episode in twenty has a cluster: simulation', () => {
    const random = new SeededRandom(20_260_101);
    const runs = 1500;
    // Clusters of 1 to 9, mean 5: 0.25 events an episode.
    const cluster = (): number => (random.unit() < 0.05 ? 1 + Math.floor(random.unit() * 9) : 0);
    let wrong = 0;
    for (let run = 0; run < runs; run += 1) {
      if (meanCountInterval(Array.from({ length: 100 }, cluster), 0.05).upper < 0.25) wrong += 1;
    }
    expect(wrong / runs).to.be.at.most(0.05);
  });
});
