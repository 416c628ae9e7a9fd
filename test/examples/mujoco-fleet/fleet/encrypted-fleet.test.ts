/** Two rounds of a small fleet through every role, against the mean in the clear. */
import { join } from 'node:path';
import { expect } from 'chai';
import { createFederation, type FederatedArm } from '../../../../examples/mujoco-fleet/fleet/arms.js';
import { SIGN_FLIP, tamper } from '../../../../examples/mujoco-fleet/fleet/attacks.js';
import type { RoundFacts } from '../../../../examples/mujoco-fleet/fleet/federation.js';
import { meanLora, plainAverage } from '../../../../examples/mujoco-fleet/fleet/plain-average.js';
import { readLora, writeLora } from '../../../../examples/mujoco-fleet/policy/adapter-files.js';
import {
  copyLora,
  createLora,
  distanceOf,
  type Lora,
  tensorsOf,
} from '../../../../examples/mujoco-fleet/policy/lora.js';
import { createNetwork } from '../../../../examples/mujoco-fleet/policy/network.js';
import { Random } from '../../../../examples/mujoco-fleet/random.js';
import { temporaryDirectory } from '../../../support/temporary-directory.js';

const ROBOTS = 3;

/** Half of a delta is everybody's, half a robot's own. */
function moved(release: Lora, robot: number, round: number): Lora {
  const common = new Random(round);
  const own = new Random(1000 * round + robot);
  const lora = copyLora(release);
  for (const values of tensorsOf(lora)) {
    values.set(values.map((value) => value + common.normal(0.01) + own.normal(0.01)));
  }
  return lora;
}

/** Of each round: what the arm's mean lacks of the plain one, over the plain one's norm; what it cost; how far it moved. */
async function errors(
  arm: FederatedArm,
  rounds: number,
  poisoned: 'none' | 'clipped' | 'unclipped' = 'none',
): Promise<{ errors: number[]; facts: RoundFacts[]; norms: number[] }> {
  const directory = await temporaryDirectory();
  const network = createNetwork([13, 24, 24, 2], 1);
  const federation = await createFederation(arm, { directory: join(directory, 'arm'), robots: ROBOTS });
  let release = join(directory, 'release-0');
  await writeLora(release, createLora(network, 4, 8, 1), 'base');
  const found: number[] = [];
  const facts: RoundFacts[] = [];
  const norms: number[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const { lora } = await readLora(release);
    const trained: string[] = [];
    for (let robot = 0; robot <= ROBOTS; robot += 1) {
      trained.push(join(directory, `round-${round}-${robot}`));
      const handed = moved(lora, robot, round);
      const attack = robot === 0 && poisoned !== 'none' ? SIGN_FLIP : undefined;
      await writeLora(trained[robot] as string, tamper(lora, handed, attack), 'base');
    }
    const pilot = trained.pop() as string;
    const out = join(directory, `release-${round}`);
    const plain = join(directory, `plain-${round}`);
    await plainAverage.average({ round, release, trained, pilot, out: plain });
    const unclipped = new Set(poisoned === 'unclipped' ? [0] : []);
    facts.push(await federation.average({ round, release, trained, pilot, unclipped, out }));
    norms.push(distanceOf((await readLora(out)).lora, lora));
    const mean = (await readLora(plain)).lora;
    found.push(distanceOf((await readLora(out)).lora, mean) / distanceOf(mean, lora));
    release = out;
  }
  return { errors: found, facts, norms };
}

describe('encrypted rounds of the MuJoCo fleet', function () {
  this.timeout(60_000);

  it('come to the plain mean but for rounding, round after round', async () => {
    const { errors: found, facts } = await errors('encrypted 8-bit', 2);
    for (const error of found) expect(error).to.be.within(1e-6, 0.05);
    for (const { clipFactors, epsilonSpent } of facts) {
      expect(clipFactors).to.deep.equal([1, 1, 1]);
      expect(epsilonSpent).to.equal(undefined);
    }
  });

  it('are bounded by the clip against a poisoned robot, and by the levels alone where its client leaves that out', async () => {
    const clipped = await errors('encrypted 8-bit', 1, 'clipped');
    const unclipped = await errors('encrypted 8-bit', 1, 'unclipped');
    expect(clipped.facts[0]?.clipFactors?.[0]).to.be.below(0.2);
    expect(unclipped.facts[0]?.clipFactors).to.deep.equal([1, 1, 1]);
    expect(unclipped.facts[0]?.saturatedValues).to.be.above(100);
    expect(unclipped.norms[0]).to.be.above(1.5 * (clipped.norms[0] as number));
    // Nobody bounded what was summed in the clear: twenty times a delta.
    for (const { errors: found } of [clipped, unclipped]) expect(found[0]).to.be.above(0.3);
  });

  it('let robots start from what they owe: together they stand where the plain mean does', async () => {
    const directory = await temporaryDirectory();
    const arm = { directory: join(directory, 'arm'), robots: ROBOTS };
    const federation = await createFederation('encrypted 4-bit, keep 0.1, from owed', arm);
    const first = createLora(createNetwork([13, 24, 24, 2], 1), 4, 8, 1);
    const release = join(directory, 'release');
    await writeLora(release, first, 'base');
    const paths: string[] = [];
    for (let robot = 0; robot <= ROBOTS; robot += 1) {
      paths.push(join(directory, `robot-${robot}`));
      await writeLora(paths[robot] as string, moved(first, robot, 1), 'base');
    }
    const pilot = paths.pop() as string;
    const out = join(directory, 'candidate');
    const start = { release, directory };
    expect(await federation.starts?.({ ...start, round: 1 })).to.deep.equal(paths.map(() => release));
    await federation.average({ round: 1, release, trained: paths, pilot, out });
    const starts = (await federation.starts?.({ round: 2, release: out, directory })) ?? [];
    const read = async (path: string): Promise<Lora> => (await readLora(path)).lora;
    const mean = meanLora(await Promise.all(paths.map(read)));
    const together = meanLora(await Promise.all(starts.map(read)));
    const delivered = await read(out);
    expect(distanceOf(delivered, mean) / distanceOf(mean, first), 'a tenth was sent').to.be.above(0.5);
    expect(distanceOf(together, mean) / distanceOf(mean, first)).to.be.below(1e-4);
  });

  it('count what privacy costs', async () => {
    const { facts } = await errors('encrypted with DP', 2);
    const [first, second] = facts as [RoundFacts, RoundFacts];
    expect(first.epsilonSpent).to.be.above(0);
    expect(second.epsilonSpent).to.be.above(first.epsilonSpent as number);
    expect(first.clip).to.equal(0.05);
  });
});
