/** Whole rounds with everything that may happen to a delta before it is encrypted. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { openContainer } from '../../lib/package/reader.js';
import { residualShape } from '../../lib/round/residuals.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { adapterValues, normOf, SHAPES, writeAdapter, writeValues } from './support/adapters.js';
import { expectAverage, expectedAverage } from './support/expected-average.js';
import { TestRound, type TestRoundOptions } from './support/round.js';

async function start(options: TestRoundOptions = {}): Promise<TestRound> {
  return TestRound.start(await temporaryDirectory(), options);
}

type Values = ReadonlyMap<string, Float32Array>;

/** a + factor * b. */
function plus(a: Values, factor: number, b: Values): Map<string, Float32Array> {
  return new Map(
    [...a].map(([name, values]) => [
      name,
      values.map((value, i) => value + factor * ((b.get(name) as Float32Array)[i] as number)),
    ]),
  );
}

async function residualNorm(round: TestRound, number: number): Promise<number> {
  const { policy, schemaKey } = residualShape(round.plan.body);
  return round.asClient(number, async ({ residuals }) => (await residuals?.norm(policy, schemaKey)) ?? 0);
}

/** Of a repeated delta, each round a little different: the same one may be sealed once. */
const FEEDBACK = { policy: { training: { bits: 4, keepRatio: 0.1, rotation: true, errorFeedback: true } } };

interface Run {
  /** ||sum of averages - sum of true means|| / ||one mean||, after each round. */
  readonly missing: readonly number[];
  /** ||residual of client 1|| / ||its delta||, after each round. */
  readonly residuals: readonly number[];
}

async function runRounds(count: number, options: TestRoundOptions): Promise<Run> {
  const first = await start(options);
  const clients = [1, 2, 3];
  const learned = await Promise.all(
    clients.map(async (number) => adapterValues(await first.adapter(number))),
  );
  const mean = learned.reduce<Values>(
    (sum, values) => plus(sum, 1 / clients.length, values),
    plus(learned[0] as Values, -1, learned[0] as Values),
  );
  let behind: Values = plus(mean, -1, mean);
  const run = { missing: [] as number[], residuals: [] as number[] };
  let round = first;
  for (let number = 1; number <= count; number += 1) {
    const updates: string[] = [];
    for (const client of clients) {
      const values = learned[client - 1] as Values;
      const adapter = await writeValues(join(round.directory, `delta-${number}-${client}`), (name, out) => {
        const from = values.get(name) as Float32Array;
        for (let i = 0; i < out.length; i += 1) out[i] = (from[i] as number) * (1 + number * 1e-5);
      });
      const sealed = await round.seal(client, { adapter });
      expect(sealed.report?.residualUsed).to.equal(number > 1);
      updates.push(sealed.stored);
    }
    const { out, aggregate } = await round.finish(updates);
    expect(await round.close(clients, aggregate)).to.equal('opened');
    behind = plus(plus(behind, 1, mean), -1, await adapterValues(out));
    run.missing.push(normOf(behind) / normOf(mean));
    run.residuals.push((await residualNorm(round, 1)) / normOf(learned[0] as Values));
    round.end();
    round = await round.next();
  }
  return run;
}

describe('fifteen rounds and more at 4 bits and a tenth of the coordinates, with error feedback', function () {
  this.timeout(240_000);
  const ROUNDS = 24;

  it('deliver what was learned, but for a residual that stays bounded', async () => {
    const { missing, residuals } = await runRounds(ROUNDS, FEEDBACK);
    const learned = ROUNDS;
    // Steady state (allocation/clip.ts): the residual of a delta that repeats has sqrt((2 - k)(1 - k)) / k = 13.1 times its norm.
    const bound = 13.1;
    expect(Math.max(...residuals)).to.be.below(1.15 * bound);
    // It has stopped growing: a residual that nothing arrives from would have doubled.
    const [middle, last] = [residuals[ROUNDS / 2 - 1] as number, residuals.at(-1) as number];
    expect(last / middle).to.be.below(1.5);
    // Of the accumulated delta, what has not arrived is the mean of the residuals, and no more.
    expect(missing.at(-1)).to.be.below(1.15 * bound);
    expect((missing.at(-1) as number) / learned).to.be.below((missing[4] as number) / 5 / 1.4);
  });

  it('lose ever more under a clip at the norm of the delta', async () => {
    const norm = normOf(await adapterValues((await start()).like));
    const { residuals } = await runRounds(ROUNDS, { ...FEEDBACK, planning: { clip: norm } });
    // A round then carries at most sqrt(0.1) of what is learned in one: two thirds of each delta are left over.
    for (let i = 1; i < ROUNDS; i += 1) {
      expect(residuals[i] as number).to.be.greaterThan((residuals[i - 1] as number) + 0.3);
    }
    expect(residuals.at(-1)).to.be.greaterThan(1.15 * 13.1);
  });
});

describe('a round with bits of their own for each tensor', () => {
  it('opens to the average of all segments, by ascending width', async () => {
    const directory = await temporaryDirectory();
    const sizeOf = (name: string): number => (name.includes('v_proj') ? 1 : 0.001);
    const make = (which: number): Promise<string> =>
      writeValues(join(directory, `made-${which}`), (name, out) => {
        for (let i = 0; i < out.length; i += 1) out[i] = sizeOf(name) * Math.sin(which + i * i);
      });
    const like = await make(0);
    const training = { bits: { min: 2, max: 8 }, rotation: true, maxRelativeError: 0.02 };
    const round = await TestRound.start(directory, {
      policy: { training },
      planning: { like },
    });
    expect(round.plan.body.lwe.segments.length).to.be.greaterThan(1);
    const adapters = [await make(1), await make(2), await make(3)];
    const updates: string[] = [];
    for (const [i, adapter] of adapters.entries())
      updates.push((await round.seal(i + 1, { adapter })).stored);
    const { out } = await round.finish(updates);
    await expectAverage(out, await expectedAverage(round.plan, { adapters }));
    const container = await openContainer(updates[0] as string, 'update');
    const { body } = container;
    await container.close();
    expect(body.compression?.bits).to.equal(Math.max(...round.plan.body.tensors.map(({ bits }) => bits)));
    round.end();
  });
});

describe('a round of B alone', () => {
  const isA = (name: string): boolean => name.includes('lora_A');
  let round: TestRound;
  let base: string;

  async function trained(seed: string, changeA = false): Promise<string> {
    const start = await adapterValues(base);
    const own = await adapterValues(
      await writeAdapter(round.path('-own'), seed, { standardDeviation: 0.002 }),
    );
    return writeValues(round.path('-trained'), (name, out) => {
      const [from, delta] = [start.get(name) as Float32Array, own.get(name) as Float32Array];
      for (let i = 0; i < out.length; i += 1) {
        out[i] = (from[i] as number) + (isA(name) && !changeA ? 0 : (delta[i] as number));
      }
    });
  }

  before(async () => {
    round = await start({ policy: { training: { loraMode: 'frozen-a', bits: 6, rotation: true } } });
    base = round.like;
  });

  after(() => round.end());

  it('leaves A as it was, byte for byte, and opens to B and the average of its changes', async () => {
    expect(round.plan.body.tensors.some(({ name }) => isA(name))).to.equal(false);
    const adapters = await Promise.all(['x', 'y', 'z'].map((seed) => trained(seed)));
    const updates: string[] = [];
    for (const [i, adapter] of adapters.entries()) {
      updates.push((await round.seal(i + 1, { adapter, base })).stored);
    }
    const { out, aggregate } = await round.finish(updates, { base });
    const [found, start] = [await adapterValues(out), await adapterValues(base)];
    for (const { name } of SHAPES.filter((shape) => isA(shape.name))) {
      expect(Buffer.from(found.get(name)?.buffer as ArrayBuffer)).to.deep.equal(
        Buffer.from(start.get(name)?.buffer as ArrayBuffer),
      );
    }
    await expectAverage(out, await expectedAverage(round.plan, { adapters, base }));
    await expectRefusal('open.frozen-needs-base', async () =>
      round.open(aggregate, await round.answers(aggregate, [1, 2])),
    );
  });

  it('refuses an adapter whose A was trained too, and one that started elsewhere', async () => {
    const next = await round.next();
    const moved = await trained('x', true);
    await expectRefusal('adapter.other-frozen-values', () => next.seal(1, { adapter: moved, base }));
    const other = await writeAdapter(round.path('-other'), 'elsewhere');
    await expectRefusal('adapter.other-frozen-values', () => next.seal(1, { adapter: other, base: other }));
  });
});

describe('a round of experts', () => {
  const experts = [
    { name: 'language', modules: ['**.q_proj'], weight: 1 },
    { name: 'action', modules: ['**.v_proj'], weight: 0.5 },
  ];
  const options: TestRoundOptions = {
    clients: 5,
    policy: { experts, training: { bits: 6, rotation: true, keepRatio: 0.5 } },
  };

  const declaring = (language: number, action: number) => ({ training: { experts: { language, action } } });

  it('opens to the mean by declared shares, a share of zero included', async () => {
    const round = await start(options);
    const shares = [
      [1, 0.25],
      [0.5, 0.5],
      [0.75, 0],
      [0.75, 0.5],
      // Declares nothing: as the plan has it.
      undefined,
    ];
    const updates: string[] = [];
    for (const [i, share] of shares.entries()) {
      const changes = share === undefined ? {} : declaring(share[0] as number, share[1] as number);
      const { stored, report } = await round.seal(i + 1, changes);
      expect(report?.weights).to.deep.equal((share ?? [1, 0.5]).map((weight) => weight * 65_536));
      updates.push(stored);
    }
    const { out } = await round.finish(updates);
    const numbers = [1, 2, 3, 4, 5];
    const weights = shares.map((share) => share ?? [1, 0.5]);
    await expectAverage(out, await round.expected({ numbers, weights }));
    round.end();
  });

  it('leaves alone a module that nobody has trained', async () => {
    const round = await start(options);
    const updates: string[] = [];
    for (const number of [1, 2, 3]) updates.push((await round.seal(number, declaring(0.5, 0))).stored);
    const { out } = await round.finish(updates);
    for (const [name, values] of await adapterValues(out)) {
      expect(
        values.every((value) => value === 0),
        name,
      ).to.equal(name.includes('v_proj'));
    }
    round.end();
  });

  it('leaves out a client that would have too much of a module, with its reason', async () => {
    const round = await start(options);
    const updates: string[] = [];
    for (const number of [1, 2, 3, 4]) updates.push((await round.seal(number, declaring(1, 0.1))).stored);
    updates.push((await round.seal(5, declaring(1, 1))).stored);
    const { accepted, refused, out } = await round.aggregateLeniently(updates);
    expect(accepted).to.equal(4);
    expect(refused.map(({ client, code }) => ({ client, code }))).to.deep.equal([
      { client: 'client-5', code: 'weights.overweight-client' },
    ]);
    const container = await openContainer(out, 'aggregate');
    const { body } = container;
    await container.close();
    expect(body.accepted.map(({ client }) => client)).not.to.include('client-5');
    await expectRefusal('weights.overweight-client', () => round.aggregate(updates));
    const opened = await round.open(out, await round.answers(out, [1, 2]));
    await expectAverage(
      opened.out,
      await round.expected({ numbers: [1, 2, 3, 4], weights: Array(4).fill([1, 6554 / 65_536]) }),
    );
    round.end();
  });

  it('is refused by aggregator, custodian and owner where a module has fewer than the quorum', async () => {
    const round = await start(options);
    const updates: string[] = [];
    for (const number of [1, 2]) updates.push((await round.seal(number, declaring(1, 1))).stored);
    for (const number of [3, 4]) updates.push((await round.seal(number, declaring(1, 0))).stored);
    const refusal = await expectRefusal('aggregate.below-quorum', () => round.aggregateLeniently(updates));
    expect(refusal.message).to.include('weights.below-quorum');
    await expectRefusal('weights.below-quorum', () => round.aggregate(updates));
    // An aggregator that does not mind: it believes in a quorum of two.
    const lax = { ...round.plan, body: { ...round.plan.body, quorum: 2 } };
    const policy = { ...round.policy, encryption: { ...round.policy.encryption, quorum: 2 } };
    const { out } = await round.aggregateLeniently(updates, { plan: lax, policy });
    await expectRefusal('weights.below-quorum', () => round.answers(out, [1]));
    await expectRefusal('weights.below-quorum', () => round.open(out, []));
    round.end();
  });

  it('leaves out those who trained a module that too few have, and averages the others', async () => {
    const round = await start(options);
    const updates: string[] = [];
    for (const number of [1, 2, 3]) updates.push((await round.seal(number, declaring(1, 0))).stored);
    updates.push((await round.seal(4, declaring(1, 1))).stored);
    const { accepted, refused } = await round.aggregateLeniently(updates);
    expect(accepted).to.equal(3);
    expect(refused.map(({ client, code }) => ({ client, code }))).to.deep.equal([
      { client: 'client-4', code: 'weights.below-quorum' },
    ]);
    round.end();
  });

  it('counts a share below 1/16 as none', async () => {
    const round = await start(options);
    expect((await round.seal(1, declaring(1, 0.06))).report?.weights).to.deep.equal([65_536, 0]);
    expect((await round.seal(2, declaring(1, 0.0626))).report?.weights[1]).to.be.at.least(4096);
    round.end();
  });

  it('refuses shares of experts that the plan does not have, and shares of nothing, before anything is claimed', async () => {
    const round = await start(options);
    await expectRefusal('seal.unknown-expert', () => round.seal(1, { training: { experts: { smell: 1 } } }));
    await expectRefusal('seal.no-weight', () => round.seal(1, declaring(0, 0)));
    const other = await writeAdapter(round.path('-other'), 'another');
    expect((await round.seal(1, { adapter: other })).replayed).to.equal(false);
  });
});

describe('a round that weighs clients by their samples', () => {
  it('counts in full from the plan’s number on, and in proportion below', async () => {
    const round = await start({
      policy: { training: { bits: 6, rotation: true, samplesForFullWeight: 1000 } },
    });
    const updates: string[] = [];
    for (const [i, samples] of [250, 500, 4000].entries()) {
      updates.push((await round.seal(i + 1, { training: { training: { samples } } })).stored);
    }
    const { out } = await round.finish(updates);
    await expectAverage(out, await round.expected({ weights: [[0.25], [0.5], [1]] }));
    round.end();
  });

  it('refuses to guess how much a client was trained', async () => {
    const round = await start({ policy: { training: { samplesForFullWeight: 1000 } } });
    await expectRefusal('seal.samples-unknown', () => round.seal(1));
  });
});

describe('full layers', () => {
  const shapes = [...SHAPES, { name: 'base_model.model.score.weight', shape: [2, 160] }];
  const config = { modules_to_save: ['score'] };
  const listed = { envelope: { fullLayers: ['score'] } };

  it('are refused by the coordinator unless its policy lists them', async () => {
    const like = await writeAdapter(join(await temporaryDirectory(), 'like'), 'like', { shapes, config });
    await expectRefusal('adapter.full-layer-not-listed', () => start({ planning: { like } }));
  });

  it('are refused by a client whose policy does not list them, and averaged where all do', async () => {
    const like = await writeAdapter(join(await temporaryDirectory(), 'like'), 'like', { shapes, config });
    const round = await start({ planning: { like }, policy: listed });
    const adapters = await Promise.all(
      [1, 2, 3].map((number) => writeAdapter(round.path(`-${number}`), `full ${number}`, { shapes, config })),
    );
    const unlisted = { ...round.policy, envelope: { ...round.policy.envelope, fullLayers: [] } };
    const adapter = adapters[0] as string;
    await expectRefusal('policy.full-layer', () => round.seal(1, { adapter, as: { policy: unlisted } }));
    const updates: string[] = [];
    for (const [i, own] of adapters.entries())
      updates.push((await round.seal(i + 1, { adapter: own })).stored);
    const { out } = await round.finish(updates);
    await expectAverage(out, await expectedAverage(round.plan, { adapters }));
    expect(await readFile(join(out, 'adapter_config.json'), 'utf8')).to.include('modules_to_save');
    round.end();
  });
});
