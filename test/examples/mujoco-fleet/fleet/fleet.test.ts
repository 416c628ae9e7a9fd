import { join } from 'node:path';
import { expect } from 'chai';
import { SIGN_FLIP } from '../../../../examples/mujoco-fleet/fleet/attacks.js';
import { Fleet } from '../../../../examples/mujoco-fleet/fleet/fleet.js';
import { compareUnseen, episodeSeeds, measure } from '../../../../examples/mujoco-fleet/fleet/measure.js';
import { plainAverage } from '../../../../examples/mujoco-fleet/fleet/plain-average.js';
import { readLora } from '../../../../examples/mujoco-fleet/policy/adapter-files.js';
import { distanceOf } from '../../../../examples/mujoco-fleet/policy/lora.js';
import { createNetwork } from '../../../../examples/mujoco-fleet/policy/network.js';
import { writePolicy } from '../../../../examples/mujoco-fleet/policy/policy-file.js';
import { ACTION_SIZE, OBSERVATION_SIZE } from '../../../../examples/mujoco-fleet/sim/environment.js';
import { temporaryDirectory } from '../../../support/temporary-directory.js';

/** A policy that nobody trained stands in for the pre-trained one, which takes seconds. */
async function untrainedFleet(): Promise<{ readonly fleet: Fleet; readonly directory: string }> {
  const directory = await temporaryDirectory();
  const base = join(directory, 'base');
  await writePolicy(base, createNetwork([OBSERVATION_SIZE, 8, ACTION_SIZE], 1));
  return { fleet: await Fleet.open({ base, robots: 2, unseenSites: 2 }), directory };
}

describe("a step of the MuJoCo fleet's federation", () => {
  it('trains from the release, leaves it as it is, and does the same again when repeated', async () => {
    const { fleet, directory } = await untrainedFleet();
    const release = join(directory, 'release');
    const start = await fleet.writeFirstRelease(release);
    const step = async (name: string, attacked: boolean) => {
      const outcome = await fleet.step(plainAverage, {
        round: 1,
        release,
        directory: join(directory, name),
        ...(attacked && { attacks: new Map([[0, SIGN_FLIP]]) }),
      });
      expect(outcome.deltaError).to.equal(0);
      return (await readLora(outcome.candidate)).lora;
    };
    const candidate = await step('first', false);
    expect(distanceOf(candidate, start)).to.be.above(0.01);
    expect((await readLora(release)).lora).to.deep.equal(start);
    expect(await step('second', false)).to.deep.equal(candidate);
    const poisoned = await step('poisoned', true);
    expect(distanceOf(poisoned, start)).to.be.above(5 * distanceOf(candidate, start));
    fleet.close();
  });

  it('is measured on the same episodes each time: a policy is no better than itself', async () => {
    const { fleet } = await untrainedFleet();
    const policy = () => fleet.network;
    const seeds = episodeSeeds({ training: 2, unseen: 4 });
    expect(seeds).to.deep.equal([0, 2, 1, 3, 5, 7]);
    const measured = await measure(fleet.ground, policy, policy, seeds);
    expect(measured.training.episodes).to.equal(2);
    expect(measured.unseen.episodes).to.equal(4);
    expect(measured.klDivergence).to.equal(0);
    const named = { name: 'itself', measured };
    const difference = compareUnseen(fleet.ground, named, named);
    expect(difference).to.include({
      difference: 0,
      pairs: 4,
      p: 1,
      sitesFirstBetter: 0,
      sitesSecondBetter: 0,
    });
    fleet.close();
  });

  it('compares arms by what differs between them at unseen sites', async () => {
    const { fleet } = await untrainedFleet();
    const policy = () => fleet.network;
    const measured = await measure(fleet.ground, policy, policy, episodeSeeds({ training: 2, unseen: 8 }));
    const all = (success: boolean) => ({
      ...measured,
      episodes: measured.episodes.map((episode) => ({ ...episode, success })),
    });
    const first = { name: 'good', measured: all(true) };
    const second = { name: 'bad', measured: all(false) };
    const difference = compareUnseen(fleet.ground, first, second);
    expect(difference).to.include({ difference: 1, pairs: 8, sitesFirstBetter: 2, sitesSecondBetter: 0 });
    expect(difference.p).to.be.closeTo(2 / 2 ** 8, 1e-9);
    expect(difference.lower).to.be.above(0);
    fleet.close();
  });
});
