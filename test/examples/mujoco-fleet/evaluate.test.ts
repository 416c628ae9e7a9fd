import { join } from 'node:path';
import { expect } from 'chai';
import evaluate, { evaluatePolicies, ProvingGround } from '../../../examples/mujoco-fleet/evaluate.js';
import { writeLora } from '../../../examples/mujoco-fleet/policy/adapter-files.js';
import { createLora } from '../../../examples/mujoco-fleet/policy/lora.js';
import { createNetwork } from '../../../examples/mujoco-fleet/policy/network.js';
import { writePolicy } from '../../../examples/mujoco-fleet/policy/policy-file.js';
import { ACTION_SIZE, OBSERVATION_SIZE } from '../../../examples/mujoco-fleet/sim/environment.js';
import { trainingSites, unseenSites } from '../../../examples/mujoco-fleet/sim/sites.js';
import { episodeSchema } from '../../../lib/evaluation/episodes/episode.js';
import { pairEpisodes } from '../../../lib/evaluation/episodes/pairs.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const SIZES = [OBSERVATION_SIZE, 8, ACTION_SIZE];

describe('rollouts of the MuJoCo fleet', () => {
  it('are episodes that pair by seed, even ones at known sites and odd ones elsewhere', async () => {
    const ground = new ProvingGround({ training: trainingSites(2), unseen: unseenSites(2) });
    try {
      const policies = { candidate: createNetwork(SIZES, 1), baseline: createNetwork(SIZES, 2) };
      const episodes = await evaluatePolicies(ground, policies, [4, 5]);
      for (const episode of episodes) expect(episodeSchema.parse(episode)).to.deep.equal(episode);
      const pairs = pairEpisodes(episodes, [4, 5]);
      expect(pairs.map(({ candidate }) => candidate.outOfDistribution)).to.deep.equal([false, true]);
      for (const { candidate, baseline } of pairs) {
        expect(candidate.klDivergence).to.be.above(0);
        expect(baseline.klDivergence).to.equal(0);
      }
      expect(await evaluatePolicies(ground, policies, [4, 5])).to.deep.equal(episodes);
    } finally {
      ground.close();
    }
  });

  it('run adapters in directories, each on the base that its configuration names', async () => {
    const directory = await temporaryDirectory();
    const network = createNetwork(SIZES, 1);
    const base = join(directory, 'base');
    await writePolicy(base, network);
    const lora = createLora(network, 2, 4, 1);
    await writeLora(join(directory, 'baseline'), lora, base);
    for (const { up } of lora.factors) up.fill(0.1);
    await writeLora(join(directory, 'candidate'), lora, base);
    const request = {
      candidate: join(directory, 'candidate'),
      baseline: join(directory, 'baseline'),
      seeds: [0],
    };
    const [candidate, baseline] = await evaluate(request);
    expect(candidate).to.include({ seed: 0, adapter: 'candidate', outOfDistribution: false });
    expect(candidate?.klDivergence).to.be.above(0);
    expect(baseline).to.include({ seed: 0, adapter: 'baseline', klDivergence: 0 });
  });
});
