import { expect } from 'chai';
import { episodeCountsSchema } from '../../lib/observability/episode-counts.js';

const GOOD = { episodes: 100, successes: 98, violations: 0, collisions: 0 };

describe('episode counts', () => {
  it('refuses counts that cannot be', () => {
    const moments = { count: 10, sum: 10, sumOfSquares: 10 };
    expect(episodeCountsSchema.safeParse({ ...GOOD, klDivergence: moments }).success).to.equal(true);
    for (const broken of [
      { ...GOOD, successes: 101 },
      { ...GOOD, violations: -1 },
      { ...GOOD, episodes: 1.5 },
      { ...GOOD, episodes: 2_000_000 },
      { ...GOOD, klDivergence: { ...moments, count: 101 } },
      { ...GOOD, klDivergence: { ...moments, sumOfSquares: 9 } },
      { ...GOOD, latencyMs: { ...moments, sum: Number.POSITIVE_INFINITY } },
      { ...GOOD, latencyMs: { ...moments, sum: -1 } },
      { ...GOOD, other: 1 },
    ]) {
      expect(episodeCountsSchema.safeParse(broken).success, JSON.stringify(broken)).to.equal(false);
    }
  });
});
