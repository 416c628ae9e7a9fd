/** The soak's checks find what they are there for. */
import { expect } from 'chai';
import { adapterShapes } from '../../bench/soak/adapter-shapes.js';
import { castRound } from '../../bench/soak/casting.js';
import { SoakFleet } from '../../bench/soak/fleet.js';
import { compareWithPlainAverage } from '../../bench/soak/plain-average.js';
import { quantile } from '../../bench/soak/quantile.js';
import { SeededRandom } from '../../bench/soak/random.js';
import { RoundWatch } from '../../bench/soak/round-watch.js';
import { levelsOf } from '../../bench/soak/sealed-updates.js';
import { loadPeftAdapter, writePeftAdapter } from '../../lib/adapter/peft.js';
import { sampleKey, signKey } from '../../lib/lwe/streams.js';
import { placeAndRotateBack } from '../../lib/pipeline/rotation.js';
import { tensorPlaces } from '../../lib/pipeline/value-layout.js';
import type { RoundStatus } from '../../lib/server/rounds/round-status.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const STATUS: RoundStatus = {
  ...{ plan: '00'.repeat(32), fleet: 'f', policy: 'p', cohort: 'all', round: 1, phase: 'open' },
  ...{ opensAtMs: 0, deadlineMs: 1, quorum: 3, maxClients: 9, threshold: 3, eligible: 9, enteredAtMs: {} },
  ...{ received: [], refusals: [], unlistedRefusals: 0, answers: [], custodianRefusals: [] },
};

describe('the soak’s view of a round', () => {
  it('notices a phase that goes back, and a client that counts twice', () => {
    const watch = new RoundWatch();
    watch.seeNext({ ...STATUS, phase: 'summing' });
    watch.seeNext(STATUS);
    const sent = { client: 'a', update: '11'.repeat(32), receivedAtMs: 1 };
    watch.see({ ...STATUS, received: [sent, { ...sent, update: '22'.repeat(32) }] });
    expect(watch.violations).to.deep.equal(['went back from summing to open', 'counts a client twice']);
  });

  it('notices a second aggregate and a second opening', () => {
    const watch = new RoundWatch();
    for (const digit of ['1', '2']) {
      const aggregate = { fingerprint: digit.repeat(64), set: '', accepted: 3, refused: [] };
      watch.see({ ...STATUS, phase: 'opened', aggregate, close: { record: digit.repeat(64), opened: true } });
    }
    expect(watch.violations).to.deep.equal(['has 2 aggregates', 'was opened 2 times']);
  });
});

describe('the soak’s comparison with the plain average', () => {
  it('finds no sum wrong for the right contributors, and nearly all without one of them', async () => {
    const fleet = await SoakFleet.create(await temporaryDirectory(), 5, 640);
    const { trusted } = await fleet.plan(1, Date.now() + 60_000);
    const { body, fingerprint, arithmetic } = trusted;
    const robots = [0, 1, 2, 3].map((robot) => levelsOf('seed', 1, robot, arithmetic.valueCount));
    const sums = robots.reduce((sum, levels) => sum.map((value, i) => value + (levels[i] as number)));
    const averages = new Map<string, Float32Array>();
    for (const { tensor, index, elementCount, firstValue } of tensorPlaces(body)) {
      const values = new Float32Array(elementCount);
      await placeAndRotateBack({
        signKey: signKey(body.seed, body.parameterSet, fingerprint),
        sampleKey: sampleKey(body.seed, body.parameterSet, fingerprint),
        blockLog2: body.rotationBlockLog2,
        tensorIndex: index,
        levels: sums.slice(firstValue, firstValue + tensor.kept),
        scale: tensor.scale / robots.length,
        values,
      });
      averages.set(tensor.name, values);
    }
    const average = fleet.at('average');
    await writePeftAdapter(average, {
      configBytes: await configOf(fleet),
      tensors: adapterShapes(640).map(({ name, shape }) => ({
        ...{ name, shape, dtype: 'F32' as const },
        data: (out: Float32Array) => out.set(averages.get(name) as Float32Array),
      })),
    });
    expect(await compareWithPlainAverage(trusted, average, robots)).to.deep.equal({ values: 640, wrong: 0 });
    const { wrong } = await compareWithPlainAverage(trusted, average, robots.slice(1));
    expect(wrong).to.be.above(600);
  });
});

async function configOf(fleet: SoakFleet): Promise<Uint8Array> {
  const { configBytes, tensors } = await loadPeftAdapter(fleet.at('adapter'));
  await tensors.close();
  return configBytes;
}

describe('the soak’s seed', () => {
  it('gives every robot one part, the same each time', async () => {
    const fleet = await SoakFleet.create(await temporaryDirectory(), 20, 640);
    const cast = castRound(fleet.robots, 'seed', 1);
    const { dropouts, corrupt, late, onTime, duplicates } = cast;
    expect([dropouts, corrupt, late, onTime].map(({ length }) => length)).to.deep.equal([4, 1, 1, 14]);
    expect(new Set([...dropouts, ...corrupt, ...late, ...onTime]).size).to.equal(20);
    expect(onTime).to.include.members([...duplicates]);
    expect(castRound(fleet.robots, 'seed', 1)).to.deep.equal(cast);
    expect(castRound(fleet.robots, 'seed', 2)).not.to.deep.equal(cast);
  });

  it('gives each robot and round values of its own, within seven bits', () => {
    const levels = levelsOf('seed', 1, 1, 1000);
    expect(levels.every((level) => level >= -63 && level <= 63)).to.equal(true);
    expect(levelsOf('seed', 1, 1, 1000)).to.deep.equal(levels);
    for (const other of [levelsOf('seed', 2, 1, 1000), levelsOf('seed', 1, 2, 1000)]) {
      expect(other).not.to.deep.equal(levels);
    }
    expect(new SeededRandom('a').next()).not.to.equal(new SeededRandom('b').next());
  });

  it('leads to quantiles that are values', () => {
    expect(quantile([3, 1, 2], 0.5)).to.equal(2);
    expect(quantile([3, 1, 2], 0.99)).to.equal(3);
    expect(quantile([], 0.5)).to.equal(undefined);
  });
});
