import { expect } from 'chai';
import {
  Environment,
  MAX_CONTROLS,
  OBSERVATION_SIZE,
} from '../../../../examples/mujoco-fleet/sim/environment.js';
import { expertAction } from '../../../../examples/mujoco-fleet/sim/expert.js';
import {
  NOMINAL,
  type Site,
  trainingSites,
  unseenSites,
} from '../../../../examples/mujoco-fleet/sim/sites.js';

async function withEnvironment<T>(site: Site, work: (environment: Environment) => T): Promise<T> {
  const environment = await Environment.create(site);
  try {
    return work(environment);
  } finally {
    environment.close();
  }
}

/** Everything that the policy would have seen. */
function observed(environment: Environment, seed: number, controls: number): number[] {
  const observation = new Float32Array(OBSERVATION_SIZE);
  const all: number[] = [];
  environment.reset(seed);
  for (let i = 0; i < controls; i += 1) {
    environment.observe(observation);
    all.push(...observation);
    environment.act(expertAction(environment));
  }
  return all;
}

function solved(environment: Environment, seeds: number): number {
  let placed = 0;
  for (let seed = 0; seed < seeds; seed += 1) {
    environment.reset(seed);
    while (!environment.done) environment.act(expertAction(environment));
    const outcome = environment.outcome();
    if (outcome.placed && outcome.constraintViolations === 0) placed += 1;
  }
  return placed;
}

describe('the simulated arm', () => {
  const [site] = trainingSites(1) as [Site];

  it('does the same for the same seed, whatever ran before and in whichever instance', async () => {
    const first = await withEnvironment(site, (environment) => observed(environment, 7, 30));
    const again = await withEnvironment(site, (environment) => {
      observed(environment, 8, 50);
      return observed(environment, 7, 30);
    });
    expect(again).to.deep.equal(first);
    const other = await withEnvironment(site, (environment) => observed(environment, 8, 30));
    expect(other).to.not.deep.equal(first);
  });

  it('is solved by the expert, at the nominal arm and at every kind of site, within the joint limits', async () => {
    for (const each of [NOMINAL, site, ...unseenSites(2)]) {
      expect(await withEnvironment(each, (environment) => solved(environment, 20)), each.name).to.equal(20);
    }
  });

  it('is not solved by pushing: joints go beyond their limits, which counts, and the episode ends', async () => {
    const outcome = await withEnvironment(site, (environment) => {
      environment.reset(1);
      while (!environment.done) environment.act([-1, -1]);
      return environment.outcome();
    });
    expect(outcome).to.include({ reached: false, placed: false, seconds: MAX_CONTROLS * 0.05 });
    expect(outcome.constraintViolations).to.be.above(0);
  });

  it('differs from site to site in what the same expert command does', async () => {
    const run = (environment: Environment): readonly [number, number] => {
      environment.reset(1);
      for (let i = 0; i < 20; i += 1) environment.act([0.2, 0.2]);
      return environment.joints;
    };
    expect(await withEnvironment(site, run)).to.not.deep.equal(await withEnvironment(NOMINAL, run));
  });

  it('gives no two sites the same parameters, and the same site always the same', () => {
    const sites = [...trainingSites(8), ...unseenSites(16)];
    expect(new Set(sites.map(({ linkMasses }) => linkMasses[0])).size).to.equal(24);
    expect(trainingSites(3)).to.deep.equal(trainingSites(8).slice(0, 3));
  });
});
