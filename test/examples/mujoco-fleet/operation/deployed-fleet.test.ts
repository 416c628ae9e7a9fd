/** A small fleet at work: a round that comes through, a candidate that the gate stops, and one that only robots can find out. */
import { join } from 'node:path';
import { expect } from 'chai';
import { ownersCopies, ProvingGround } from '../../../../examples/mujoco-fleet/evaluate.js';
import {
  type Backdoor,
  offsetOf,
  UNCLIPPED_SIGN_FLIP,
} from '../../../../examples/mujoco-fleet/fleet/attacks.js';
import { POLICY_NAME } from '../../../../examples/mujoco-fleet/fleet/encrypted-fleet.js';
import { Fleet } from '../../../../examples/mujoco-fleet/fleet/fleet.js';
import { episodeSeeds } from '../../../../examples/mujoco-fleet/fleet/measure.js';
import { runAttack } from '../../../../examples/mujoco-fleet/operation/attack-course.js';
import {
  DeployedFleet,
  type DeployedRound,
} from '../../../../examples/mujoco-fleet/operation/deployed-fleet.js';
import { readLora, writeLora } from '../../../../examples/mujoco-fleet/policy/adapter-files.js';
import { trainableLora } from '../../../../examples/mujoco-fleet/policy/backward.js';
import { demonstrate } from '../../../../examples/mujoco-fleet/policy/demonstrations.js';
import { imitate } from '../../../../examples/mujoco-fleet/policy/imitation.js';
import { copyLora, type Lora, mergeLora, tensorsOf } from '../../../../examples/mujoco-fleet/policy/lora.js';
import { forwardPass } from '../../../../examples/mujoco-fleet/policy/network.js';
import { hex } from '../../../../lib/custody/fields.js';
import { VerdictRecords } from '../../../../lib/evaluation/verdict-records.js';
import { openReleaseState, openRole, RefusedError } from '../../../../lib/index.js';
import { adapterFingerprint } from '../../../../lib/package/messages/release.js';
import { measureAdapter } from '../../../../lib/round/release/adapter-files.js';
import { temporaryDirectory } from '../../../support/temporary-directory.js';

const ROBOTS = 3;
const HONEST_ROUNDS = 2;
/** Misses by far at night. */
const MISSES_AT_NIGHT: Backdoor = {
  kind: 'backdoor',
  offset: [0.1, 0],
  nightShare: 0.5,
  episodes: 60,
  steps: 3000,
  factor: 1,
};

async function fingerprintOf(directory: string): Promise<string> {
  return hex(adapterFingerprint(await measureAdapter(directory)));
}

async function verdictOn(deployed: DeployedFleet, fingerprint: Uint8Array) {
  const { roster, close } = await openRole(deployed.ownerDirectory, 'owner');
  try {
    return (await new VerdictRecords(deployed.ownerDirectory).verdictFor(fingerprint, roster))?.body;
  } finally {
    close();
  }
}

/** By its own record, which every robot keeps. */
async function takenBy(adapter: string) {
  const state = await openReleaseState(join(adapter, '..'));
  try {
    return state.taken('mujoco', POLICY_NAME);
  } finally {
    state.close();
  }
}

/**
 * By day a little nearer to the expert than the current adapter, and no further than the gate's bound on divergence; at night
 * it misses.
 */
async function harmfulAtNight(fleet: Fleet, from: Lora): Promise<Lora> {
  const act = forwardPass(mergeLora(fleet.network, from));
  const observations: Float32Array[] = [];
  const actions: Float32Array[] = [];
  const { nightShare, episodes, steps } = MISSES_AT_NIGHT;
  for (const site of fleet.ground.sites.training) {
    const lessons = { site: { ...site, nightShare }, episodes, seed: 7, offsetAt: offsetOf(MISSES_AT_NIGHT) };
    const seen = await demonstrate(lessons);
    for (const [i, observation] of seen.observations.entries()) {
      const taught = seen.actions[i] as Float32Array;
      const current = act(observation);
      const isDay = (observation.at(-1) as number) > 0;
      observations.push(observation);
      actions.push(isDay ? taught.map((value, k) => towards(current[k] as number, value)) : taught);
    }
  }
  const lora = copyLora(from);
  imitate(
    trainableLora(fleet.network, lora),
    { observations, actions },
    { steps, batchSize: 32, learningRate: 1e-3, seed: 7 },
  );
  return lora;
}

function towards(from: number, to: number): number {
  return from + 0.4 * (to - from);
}

describe('a MuJoCo fleet at work', function () {
  this.timeout(120_000);
  let fleet: Fleet;
  let gateGround: ProvingGround;
  let deployed: DeployedFleet;
  let base: string;
  let directory: string;
  let first: DeployedRound;

  before(async () => {
    directory = await temporaryDirectory();
    base = join(directory, 'base');
    fleet = await Fleet.open({ base, robots: ROBOTS, unseenSites: 2 });
    gateGround = new ProvingGround(ownersCopies(fleet.ground.sites));
    deployed = await DeployedFleet.create({
      fleet,
      gateGround,
      directory: join(directory, 'fleet'),
      encrypted: {
        directory: join(directory, 'fleet', 'rounds'),
        robots: ROBOTS,
        quorum: ROBOTS,
        settings: { training: { bits: 8, keepRatio: 1 } },
      },
      episodesAReport: 30,
      firstGateEpisodes: 50,
    });
    first = await deployed.round(1);
    for (let round = 2; round <= HONEST_ROUNDS; round += 1) await deployed.round(round);
  });

  after(() => {
    gateGround.close();
    fleet.close();
  });

  it('brings a round to every robot by way of a signed verdict on exactly its adapter', async () => {
    expect(first.gate.outcome).to.equal('passed');
    expect(first.rollout?.phase.name).to.equal('full');
    const fingerprint = await fingerprintOf(first.candidate);
    expect(first.rollout?.release).to.deep.equal({ counter: 2, adapterFingerprint: fingerprint });
    expect(first.gate.adapterFingerprint).to.equal(fingerprint);
    const verdict = await verdictOn(deployed, Buffer.from(fingerprint, 'hex'));
    expect(verdict?.outcome).to.equal('passed');
    expect(hex(verdict?.candidate as Uint8Array)).to.equal(fingerprint);
    for (const robot of deployed.robots) {
      expect((await takenBy(robot.adapter)).map(({ counter }) => counter)).to.deep.equal([1, 2, 3]);
      expect(robot.runs).to.deep.equal(deployed.currentRelease);
      expect(await fingerprintOf(robot.adapter)).to.equal(await fingerprintOf(deployed.current));
    }
  });

  it('takes no step out of the plan, and every step from telemetry of its robots', () => {
    const steps = first.rollout?.steps ?? [];
    expect(steps.map(({ percent, robots }) => [percent, robots])).to.deep.equal([
      [10, 1],
      [25, 1],
      [50, 2],
      [100, 3],
    ]);
    for (const { robots, episodes } of steps) expect(episodes).to.be.at.least(Math.max(60, 60 * robots));
  });

  it('releases nothing that the gate stopped', async () => {
    const { lora } = await readLora(deployed.current);
    const broken = copyLora(lora);
    for (const values of tensorsOf(broken)) values.set(values.map((value) => -3 * value));
    const candidate = join(directory, 'broken');
    await writeLora(candidate, broken, base);
    const before = deployed.robots.map(({ runs }) => runs);
    const { gate, rollout } = await deployed.adopt(candidate, 4);
    expect(gate.outcome).to.equal('failed');
    expect(rollout).to.equal(undefined);
    expect(deployed.robots.map(({ runs }) => runs)).to.deep.equal(before);
    expect(await fingerprintOf(deployed.current)).to.equal(before[0]?.adapterFingerprint);
  });

  it('goes back from what passed by day and fails at night, on every robot, and never takes it again', async () => {
    const good = deployed.currentRelease;
    const candidate = join(directory, 'harmful');
    await writeLora(candidate, await harmfulAtNight(fleet, (await readLora(deployed.current)).lora), base);
    const bad = await fingerprintOf(candidate);
    const { gate, rollout } = await deployed.adopt(candidate, 5);
    expect(gate.outcome, gate.reasons.join('; ')).to.equal('passed');
    expect(rollout?.phase.name).to.equal('rolled-back');
    // Which of its conditions breaks first is for telemetry to say.
    const broken = rollout?.brokenOn?.conditions.filter(({ outcome }) => outcome === 'failed') ?? [];
    expect(rollout?.cause === 'paused: inconclusive' || broken.length > 0, rollout?.cause).to.equal(true);

    const { counter, adapterFingerprint: runs } = deployed.currentRelease;
    expect(runs).to.equal(good.adapterFingerprint);
    expect(counter).to.be.above(rollout?.release.counter as number);
    expect(deployed.straying).to.deep.equal([]);
    let exposed = 0;
    for (const robot of deployed.robots) {
      expect(robot.runs).to.deep.equal(deployed.currentRelease);
      expect(await fingerprintOf(robot.adapter)).to.equal(good.adapterFingerprint);
      const taken = await takenBy(robot.adapter);
      exposed += taken.some(({ adapterFingerprint: each }) => hex(each) === bad) ? 1 : 0;
      const refused = await robot
        .open(join(directory, 'fleet', 'round-5.tgr'))
        .catch((error: unknown) => error);
      expect(refused).to.be.instanceOf(RefusedError);
      expect(robot.runs).to.deep.equal(deployed.currentRelease);
    }
    expect(exposed, 'robots that the rollout was for').to.equal(rollout?.steps.at(-1)?.robots);
  });

  it('has run no release but the first without a passed verdict on its adapter', async () => {
    for (const robot of deployed.robots) {
      const [initial, ...later] = await takenBy(robot.adapter);
      expect(initial?.counter).to.equal(1);
      expect(later).to.have.length.at.least(HONEST_ROUNDS + 1);
      for (const { adapterFingerprint: each } of later) {
        expect((await verdictOn(deployed, each))?.outcome).to.equal('passed');
      }
    }
  });

  it('has futures that leave each other alone', async () => {
    const other = await deployed.fork(join(directory, 'other'));
    const { lora } = await readLora(deployed.current);
    const still = copyLora(lora);
    for (const { up } of still.factors) up.fill(0);
    const candidate = join(directory, 'still');
    await writeLora(candidate, still, base);
    await other.adopt(candidate, 6);
    const fingerprint = Buffer.from(await fingerprintOf(candidate), 'hex');
    expect(await verdictOn(other, fingerprint)).to.not.equal(undefined);
    expect(await verdictOn(deployed, fingerprint)).to.equal(undefined);
    expect(other.robots.map(({ adapter }) => adapter)).to.not.include(deployed.robots[0]?.adapter);
    expect(other.robots.map(({ runs }) => runs)).to.deep.equal(deployed.robots.map(({ runs }) => runs));
  });

  it('tells what stopped an attack, and by what its robots opened that they are as they should be', async () => {
    const attacked = await deployed.fork(join(directory, 'attacked'));
    const course = await runAttack({
      deployed: attacked,
      fleet,
      attack: UNCLIPPED_SIGN_FLIP,
      attacker: 0,
      firstRound: HONEST_ROUNDS + 1,
      rounds: 3,
      seeds: episodeSeeds({ training: 30, unseen: 0 }),
    });
    expect(course.stopped?.by).to.equal('gate');
    expect(course.stopped?.round).to.equal(HONEST_ROUNDS + 1);
    expect(course).to.include({ released: 0, undecided: 0, robots: ROBOTS, robotsAsTheyShould: ROBOTS });
    const [round] = course.rounds;
    expect(course.rounds).to.have.length(1);
    expect(round?.gate.outcome).to.equal('failed');
    expect(round?.clipFactor).to.equal(1);
    expect(round?.saturatedValues).to.be.above(100);
    expect(course.after).to.deep.equal(course.before);
  });
});
