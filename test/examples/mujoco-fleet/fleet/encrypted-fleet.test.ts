/** Two rounds of a small fleet through every role, against the mean in the clear. */
import { join } from 'node:path';
import { expect } from 'chai';
import { createFederation, type FederatedArm } from '../../../../examples/mujoco-fleet/fleet/arms.js';
import type { RoundFacts } from '../../../../examples/mujoco-fleet/fleet/federation.js';
import { plainAverage } from '../../../../examples/mujoco-fleet/fleet/plain-average.js';
import { readLora, writeLora } from '../../../../examples/mujoco-fleet/policy/adapter-files.js';
import { copyLora, createLora, type Lora, tensorsOf } from '../../../../examples/mujoco-fleet/policy/lora.js';
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
    values.forEach((value, i) => (values[i] = value + common.normal(0.01) + own.normal(0.01)));
  }
  return lora;
}

function distance(a: Lora, b: Lora): number {
  const others = tensorsOf(b);
  return Math.sqrt(
    tensorsOf(a).reduce(
      (sum, values, i) =>
        sum + values.reduce((part, value, k) => part + (value - (others[i]?.[k] as number)) ** 2, 0),
      0,
    ),
  );
}

/** Of each round: what the arm's mean lacks of the plain one, over the plain one's norm. */
async function errors(arm: FederatedArm, rounds: number): Promise<{ errors: number[]; facts: RoundFacts[] }> {
  const directory = await temporaryDirectory();
  const network = createNetwork([13, 24, 24, 2], 1);
  const federation = await createFederation(arm, { directory: join(directory, 'arm'), robots: ROBOTS });
  let release = join(directory, 'release-0');
  await writeLora(release, createLora(network, 4, 8, 1), 'base');
  const found: number[] = [];
  const facts: RoundFacts[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    const { lora } = await readLora(release);
    const trained: string[] = [];
    for (let robot = 0; robot <= ROBOTS; robot += 1) {
      trained.push(join(directory, `round-${round}-${robot}`));
      await writeLora(trained[robot] as string, moved(lora, robot, round), 'base');
    }
    const pilot = trained.pop() as string;
    const out = join(directory, `release-${round}`);
    const plain = join(directory, `plain-${round}`);
    await plainAverage.average({ round, release, trained, pilot, out: plain });
    facts.push(await federation.average({ round, release, trained, pilot, out }));
    const mean = (await readLora(plain)).lora;
    found.push(distance((await readLora(out)).lora, mean) / distance(mean, lora));
    release = out;
  }
  return { errors: found, facts };
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

  it('count what privacy costs', async () => {
    const { facts } = await errors('encrypted with DP', 2);
    const [first, second] = facts as [RoundFacts, RoundFacts];
    expect(first.epsilonSpent).to.be.above(0);
    expect(second.epsilonSpent).to.be.above(first.epsilonSpent as number);
    expect(first.clip).to.equal(0.05);
  });
});
