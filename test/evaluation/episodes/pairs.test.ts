import { expect } from 'chai';
import type { Episode } from '../../../lib/evaluation/episodes/episode.js';
import { pairEpisodes, requireWholeMetrics } from '../../../lib/evaluation/episodes/pairs.js';
import { expectRefusal } from '../../support/refusals.js';
import { episode, pairs } from '../support/episodes.js';

const both = (seed: number, fields: Partial<Episode> = {}): Episode[] => [
  episode({ seed, ...fields }),
  episode({ seed, adapter: 'baseline', ...fields }),
];

describe('pairs of episodes', () => {
  it('are made by seed, in whatever order results come', () => {
    const results = [...both(7, { success: false }), ...both(8)].reverse();
    const made = pairEpisodes(results, [7, 8]);
    expect(made.map(({ candidate, baseline }) => [candidate.seed, baseline.seed])).to.have.deep.members([
      [7, 7],
      [8, 8],
    ]);
    expect(made.find(({ candidate }) => candidate.seed === 7)?.baseline).to.include({
      adapter: 'baseline',
      success: false,
    });
  });

  it('are made by task and seed where tasks share seeds', () => {
    const made = pairEpisodes([...both(7, { task: 'a/0' }), ...both(7, { task: 'a/1' })]);
    expect(made.map(({ candidate, baseline }) => [candidate.task, baseline.task])).to.deep.equal([
      ['a/0', 'a/0'],
      ['a/1', 'a/1'],
    ]);
  });

  for (const [what, code, results] of [
    ['a seed that nobody asked for', 'evaluation.unknown-seed', [...both(7), ...both(8), ...both(9)]],
    ['a seed that comes twice', 'evaluation.duplicate-seed', [...both(7), ...both(8), episode({ seed: 7 })]],
    ['a seed that is missing for both', 'evaluation.missing-seed', both(7)],
    ['a seed that the candidate left out', 'evaluation.missing-seed', [...both(7), ...both(8).slice(1)]],
    ['a seed that the baseline left out', 'evaluation.missing-seed', [...both(7), ...both(8).slice(0, 1)]],
    [
      'a seed that is out of distribution for one only',
      'evaluation.mismatched-pair',
      [...both(7), ...both(8).slice(1), episode({ seed: 8, outOfDistribution: true })],
    ],
  ] as const) {
    it(`are not made with ${what}`, async () => {
      await expectRefusal(code, () => pairEpisodes(results, [7, 8]));
    });
  }

  it('are not made of files with different seeds', async () => {
    await expectRefusal('evaluation.missing-seed', () => pairEpisodes([...both(7), episode({ seed: 8 })]));
  });

  it('have a metric everywhere or nowhere', async () => {
    requireWholeMetrics(pairs(3, () => ({ candidate: { collisions: 0 } })));
    for (const metric of ['constraintViolations', 'collisions', 'klDivergence'] as const) {
      const some = pairs(3, (i) => ({ candidate: i === 1 ? {} : { [metric]: 0 } }));
      const error = await expectRefusal('evaluation.partial-metric', () => requireWholeMetrics(some));
      expect(error.message).to.include(`${metric} is there for 2 of 3 episodes of the candidate`);
    }
  });

  it('have a time where they succeeded, and may lack it elsewhere', async () => {
    requireWholeMetrics(
      pairs(3, (i) => ({ baseline: i === 1 ? { success: false } : { timeToCompleteSeconds: 4 } })),
    );
    const some = pairs(3, (i) => ({ baseline: i === 1 ? {} : { timeToCompleteSeconds: 4 } }));
    await expectRefusal('evaluation.partial-metric', () => requireWholeMetrics(some));
  });
});
