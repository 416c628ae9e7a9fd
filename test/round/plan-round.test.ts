import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { planArithmetic } from '../../lib/lwe/plan.js';
import { type PlanOptions, planRound } from '../../lib/round/plan-round.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { adapterValues, normOf, writeAdapter, writeValues } from './support/adapters.js';
import { type Settings, testPolicy } from './support/policies.js';
import { PLANNING, TestRound } from './support/round.js';

/** With everything sent, the steady state sends the delta itself; 15 % more is the headroom. */
const HEADROOM = 1.15;

describe('planning a round', () => {
  let round: TestRound;

  before(async () => {
    round = await TestRound.start(await temporaryDirectory());
  });

  function planning(settings: Settings = {}, changes: Partial<PlanOptions> = {}) {
    return planRound({
      ...PLANNING,
      roster: round.roster,
      like: round.like,
      policy: { ...testPolicy(settings), encryption: round.policy.encryption },
      ...changes,
    });
  }

  it('lets the grid of each tensor reach one and a half times the largest value seen, scaled to the clip', async () => {
    const { body } = await planning();
    const values = await adapterValues(round.like);
    for (const { name, scale, bits } of body.tensors) {
      const largest = Math.max(...(values.get(name) as Float32Array).map(Math.abs));
      expect(bits).to.equal(4);
      expect(scale * 7).to.be.closeTo(1.5 * HEADROOM * largest, 1e-6 * largest);
    }
  });

  it('clips to a little more than the norm of the reference, of the difference where there is a base', async () => {
    expect((await planning()).body.clip).to.be.closeTo(
      HEADROOM * normOf(await adapterValues(round.like)),
      1e-6,
    );
    const base = await writeAdapter(join(round.directory, 'base'), 'base');
    const { body, referenceNorm } = await planning({}, { base });
    const start = await adapterValues(base);
    const difference = new Map(
      [...(await adapterValues(round.like))].map(([name, values]) => [
        name,
        values.map((value, i) => value - (start.get(name)?.[i] as number)),
      ]),
    );
    expect(referenceNorm).to.be.closeTo(normOf(difference), 1e-6);
    expect(body.clip).to.be.closeTo(HEADROOM * referenceNorm, 1e-6);
  });

  it('takes the clip that it is given, and the policy’s where the round is private', async () => {
    expect((await planning({}, { clip: 0.25 })).body.clip).to.equal(0.25);
    const privacy = { mechanism: 'skellam', clip: 0.75, noiseMultiplier: 1 };
    expect((await planning({ privacy, training: { rotation: true, bits: 8 } })).body.clip).to.equal(0.75);
  });

  it('refuses to guess from nothing', async () => {
    await expectRefusal('plan.no-energy', () => planning({}, { base: round.like }));
  });

  it('draws a fresh public seed each time', async () => {
    const seeds = new Set<string>();
    for (let i = 0; i < 3; i += 1) seeds.add(Buffer.from((await planning()).body.seed).toString('hex'));
    expect(seeds.size).to.equal(3);
  });

  it('keeps the share of coordinates that it is told, and module by module where the policy says so', async () => {
    const training = {
      keepRatio: 0.25,
      keepRatios: [{ modules: ['**.v_proj'], keepRatio: 1 }],
      rotation: true,
      bits: 6,
    };
    const { body } = await planning({ training });
    const kept = (part: string): number =>
      body.tensors.filter(({ name }) => name.includes(part)).reduce((sum, tensor) => sum + tensor.kept, 0);
    expect(kept('v_proj')).to.equal(640 + 384);
    expect(kept('q_proj')).to.be.closeTo(0.25 * 1280, 1);
  });

  it('gives each tensor bits of its own, in segments by width that hold all values', async () => {
    const loud = await writeValues(join(round.directory, 'loud'), (name, out) => {
      const size = name.includes('v_proj') ? 1 : 0.001;
      for (let i = 0; i < out.length; i += 1) out[i] = size * Math.sin(i * i + 1);
    });
    const training = { bits: { min: 2, max: 8 }, rotation: true, maxRelativeError: 0.02 };
    const { body, expected, arithmetic } = await planning({ training }, { like: loud });
    const { segments } = body.lwe;
    expect(segments.length).to.be.greaterThan(1);
    for (const { bits, valueCount } of segments) {
      const values = body.tensors.filter((tensor) => tensor.bits === bits);
      expect(values.reduce((sum, { kept }) => sum + kept, 0)).to.equal(valueCount);
    }
    const of = (part: string): number[] =>
      body.tensors.filter(({ name }) => name.includes(part)).map(({ bits }) => bits);
    expect(Math.min(...of('v_proj'))).to.be.greaterThan(Math.max(...of('q_proj')));
    expect(expected.relativeError).to.be.at.most(0.02);
    const alike = planArithmetic({
      parameterSet: 'lwe-128',
      maxClients: 8,
      segments: segments.map(({ bits, valueCount }) => ({ bits, valueCount })),
    });
    expect(arithmetic.ciphertextBytes).to.equal(alike.ciphertextBytes);
  });

  it('predicts the error of the average that a round then has', async () => {
    const training = { keepRatio: 0.5, rotation: true, bits: 4 };
    const measured: number[] = [];
    const { expected } = await planning({ training }, { maxClients: 3 });
    for (let i = 0; i < 4; i += 1) {
      const one = await TestRound.start(await temporaryDirectory(), {
        policy: { training },
        planning: { maxClients: 3 },
      });
      const updates: string[] = [];
      for (const number of [1, 2, 3]) updates.push((await one.seal(number, { adapter: one.like })).stored);
      const { out } = await one.finish(updates);
      const like = await adapterValues(one.like);
      const average = await adapterValues(out);
      const error = new Map(
        [...like].map(([name, values]) => [
          name,
          values.map((value, j) => value - (average.get(name)?.[j] as number)),
        ]),
      );
      measured.push(normOf(error) / normOf(like));
      one.end();
    }
    const mean = measured.reduce((a, b) => a + b, 0) / measured.length;
    // 2,304 coordinates: each measurement is within 3 % of its mean.
    expect(mean / expected.relativeError).to.be.within(0.94, 1.06);
  });

  it('names the profiles that it was made under, and carries the adapters’ configuration', async () => {
    const [one, other] = [await planning(), await planning({ safety: { maxRegression: 0.01 } })];
    expect(one.body.profiles?.['training']).to.deep.equal(other.body.profiles?.['training']);
    expect(one.body.profiles?.['safety']).not.to.deep.equal(other.body.profiles?.['safety']);
    expect(one.body.profiles?.['policy']).not.to.deep.equal(other.body.profiles?.['policy']);
    expect(Buffer.from(one.body.adapterConfig as Uint8Array)).to.deep.equal(
      await readFile(join(round.like, 'adapter_config.json')),
    );
  });

  it('refuses what the roster does not allow, as every client would', async () => {
    await expectRefusal('plan.outside-roster', () => planning({}, { quorum: 2 }));
    await expectRefusal('plan.outside-roster', () => planning({}, { parameterSet: 'lwe-192' }));
    await expectRefusal('plan.does-not-fit', () =>
      planning({ training: { bits: 8 } }, { maxClients: 60_000 }),
    );
    const { roster } = round;
    const low = { ...roster, body: { ...roster.body, maxUpdateBytes: 1000 } };
    await expectRefusal('plan.too-large', () => planning({}, { roster: low }));
  });

  it('refuses more colluders than leave anybody to add noise', async () => {
    const privacy = { mechanism: 'skellam', clip: 1, noiseMultiplier: 1, colluders: 3 };
    const policy = testPolicy({ encryption: { quorum: 4 }, privacy, training: { bits: 8, rotation: true } });
    await expectRefusal('plan.colluders', () => planning({}, { policy, quorum: 3 }));
  });
});
