import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { readEvalInfo } from '../../../lib/evaluation/episodes/eval-info.js';
import { expectRefusal } from '../../support/refusals.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

/** As eval_policy returns it, and older releases write it: one environment, seeds from 1000. */
const PER_EPISODE = {
  per_episode: [
    { episode_ix: 0, sum_reward: 12.5, max_reward: 1, success: true, seed: 1000 },
    { episode_ix: 1, sum_reward: 3.25, max_reward: 0.5, success: false, seed: 1001 },
  ],
  aggregated: { avg_sum_reward: 7.875, avg_max_reward: 0.75, pc_success: 50, eval_s: 20.1, eval_ep_s: 10.05 },
  video_paths: ['outputs/eval/videos/eval_episode_0.mp4'],
};

/** As lerobot-eval writes it: lists a task, with a safety cost. */
const PER_TASK = {
  per_task: [
    {
      task_group: 'libero_10',
      task_id: 0,
      metrics: {
        sum_rewards: [1, 0],
        max_rewards: [1, 0],
        successes: [true, false],
        video_paths: [],
        safety_costs: [0, 3.5],
        violation_steps: [0, 7],
        constraint_violations: [{}, { joint_limit: 3.5 }],
      },
    },
    {
      task_group: 'libero_10',
      task_id: 3,
      metrics: {
        sum_rewards: [1, 1],
        max_rewards: [1, 1],
        successes: [true, true],
        video_paths: [],
        violation_steps: [1, 0],
      },
    },
  ],
  per_group: { libero_10: { avg_sum_reward: 0.75, pc_success: 75, n_episodes: 4 } },
  overall: { pc_success: 75, n_episodes: 4, eval_s: 120.5, eval_ep_s: 30.1, video_paths: [] },
};

describe("LeRobot's eval_info.json", () => {
  let path: string;
  const candidate = { adapter: 'candidate', outOfDistribution: false } as const;

  beforeEach(async () => {
    path = join(await temporaryDirectory(), 'eval_info.json');
  });

  const read = async (document: unknown, options: Partial<Parameters<typeof readEvalInfo>[1]> = {}) => {
    await writeFile(path, typeof document === 'string' ? document : JSON.stringify(document));
    return readEvalInfo(path, { ...candidate, ...options });
  };

  it('is read with its own seeds, and nothing that it does not say', async () => {
    expect(await read(PER_EPISODE, { firstSeed: 5 })).to.deep.equal([
      { seed: 1000, adapter: 'candidate', success: true, outOfDistribution: false },
      { seed: 1001, adapter: 'candidate', success: false, outOfDistribution: false },
    ]);
  });

  it('is read task by task, with seeds that count up in each from the one that was told', async () => {
    const episodes = await read(PER_TASK, { adapter: 'baseline', firstSeed: 1000 });
    expect(
      episodes.map(({ task, seed, success, constraintViolations }) => [
        task,
        seed,
        success,
        constraintViolations,
      ]),
    ).to.deep.equal([
      ['libero_10/0', 1000, true, 0],
      ['libero_10/0', 1001, false, 7],
      ['libero_10/3', 1000, true, 1],
      ['libero_10/3', 1001, true, 0],
    ]);
    expect(episodes.every(({ adapter }) => adapter === 'baseline')).to.equal(true);
  });

  it('names episodes outside of the training distribution apart from those inside', async () => {
    const [first] = await read(PER_EPISODE, { outOfDistribution: true });
    expect(first).to.include({ outOfDistribution: true, task: 'all (out of distribution)' });
  });

  it('takes a null for a seed that was not set, and asks for it', async () => {
    const unseeded = { per_episode: [{ success: true, seed: null }] };
    expect(await read(unseeded, { firstSeed: 42 })).to.have.nested.property('[0].seed', 42);
    await expectRefusal('evaluation.bad-eval-info', () => read(unseeded));
    await expectRefusal('evaluation.bad-eval-info', () => read(PER_TASK));
  });

  for (const [what, document] of [
    ['no JSON', '{'],
    [
      'NaN, as Python writes it',
      '{"per_episode": [{"success": true, "seed": 1}], "aggregated": {"pc_success": NaN}}',
    ],
    ['an array', []],
    ['no episodes', { per_episode: [] }],
    ['a success that is a number', { per_episode: [{ success: 1, seed: 1 }] }],
    ['a negative seed', { per_episode: [{ success: true, seed: -1 }] }],
    ['only averages', { aggregated: { pc_success: 80 } }],
    [
      'fewer violation counts than episodes',
      { per_task: [{ task_group: 'a', task_id: 0, metrics: { successes: [true], violation_steps: [] } }] },
    ],
  ] as const) {
    it(`is refused with ${what}`, async () => {
      await expectRefusal('evaluation.bad-eval-info', () => read(document, { firstSeed: 1 }));
    });
  }

  it('has to be there', async () => {
    await expectRefusal('adapter.file-missing', () => readEvalInfo(`${path}.none`, candidate));
  });
});
