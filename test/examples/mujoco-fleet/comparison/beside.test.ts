import { join } from 'node:path';
import { expect } from 'chai';
import { runBeside } from '../../../../examples/mujoco-fleet/comparison/beside.js';
import { ARM_NAMES, DEPLOYED_ARM } from '../../../../examples/mujoco-fleet/fleet/arms.js';
import { createNetwork } from '../../../../examples/mujoco-fleet/policy/network.js';
import { writePolicy } from '../../../../examples/mujoco-fleet/policy/policy-file.js';
import { ACTION_SIZE, OBSERVATION_SIZE } from '../../../../examples/mujoco-fleet/sim/environment.js';
import { temporaryDirectory } from '../../../support/temporary-directory.js';

/** A policy that nobody trained stands in for the pre-trained one, which takes seconds. */
async function request() {
  const directory = await temporaryDirectory();
  const base = join(directory, 'base');
  await writePolicy(base, createNetwork([OBSERVATION_SIZE, 8, ACTION_SIZE], 1));
  return { fleet: { base, robots: 3, unseenSites: 2 }, rounds: 1, seeds: [0, 1], directory };
}

describe('the process of the arms that are compared', function () {
  this.timeout(60_000);

  it('runs all of them but the one at work, and says how far it is', async () => {
    const lines: string[] = [];
    const { done } = runBeside(await request(), (line) => lines.push(line));
    const { runs, processorSeconds } = await done;
    expect(runs.map(([arm]) => arm)).to.deep.equal(ARM_NAMES.filter((arm) => arm !== DEPLOYED_ARM));
    for (const [, rounds] of runs) {
      expect(rounds).to.have.length(1);
      expect(rounds[0]?.measured.episodes.map(({ seed }) => seed)).to.deep.equal([0, 1]);
    }
    expect(lines).to.have.length(runs.length);
    expect(processorSeconds).to.be.above(0);
  });

  it('fails where the process ends before it is done', async () => {
    const { done, stop } = runBeside(await request(), () => undefined);
    stop();
    const failure = await done.catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(Error);
    expect(String(failure)).to.include('ended before it was done');
  });
});
