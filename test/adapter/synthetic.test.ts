import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadPeftAdapter } from '../../lib/adapter/peft.js';
import { fillNormal } from '../../lib/adapter/seeded-normal.js';
import { smolVlaConfig, smolVlaShapes } from '../../lib/adapter/smolvla.js';
import { perturbAdapter, writeSyntheticAdapter } from '../../lib/adapter/synthetic.js';
import { classifyTensor } from '../../lib/adapter/tensor-roles.js';
import { withDirectory } from './safetensors-vectors.js';

const small = [
  { name: 'base_model.model.q.lora_A.weight', shape: [2, 3] },
  { name: 'base_model.model.q.lora_B.weight', shape: [5, 2] },
];

async function valuesIn(directory: string): Promise<Map<string, Float32Array>> {
  const { tensors } = await loadPeftAdapter(directory);
  const values = new Map<string, Float32Array>();
  for (const name of tensors.names) {
    const out = new Float32Array(tensors.info(name).elementCount);
    await tensors.readTensor(name, out);
    values.set(name, out);
  }
  await tensors.close();
  return values;
}

function moments(values: Float32Array): { mean: number; deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, deviation: Math.sqrt(variance) };
}

describe('seeded normal deviates', () => {
  it('are the same on every machine for one seed and stream', () => {
    const out = new Float32Array(4);
    fillNormal(out, 1, 'seed', 'stream');
    expect([...out]).to.deep.equal(FIXED_DEVIATES);
  });

  it('begin the same however many are drawn, across block boundaries', () => {
    const long = new Float32Array(10_000);
    const short = new Float32Array(5_000);
    fillNormal(long, 1, 's', 't');
    fillNormal(short, 1, 's', 't');
    expect(long.subarray(0, 5_000)).to.deep.equal(short);
  });

  it('have the mean, the deviation and the tails of a normal distribution', () => {
    const count = 200_000;
    const out = new Float32Array(count);
    fillNormal(out, 3, 'moments', '');
    const { mean, deviation } = moments(out);
    expect(Math.abs(mean)).to.be.lessThan((5 * 3) / Math.sqrt(count));
    expect(Math.abs(deviation / 3 - 1)).to.be.lessThan(0.01);
    const beyondTwo = out.filter((value) => Math.abs(value) > 6).length / count;
    expect(beyondTwo).to.be.within(0.042, 0.049);
  });

  it('differ between seeds and streams, also where one runs into the other', () => {
    const drawn = [
      ['ab', 'c'],
      ['a', 'bc'],
      ['abc', ''],
    ].map(([seed, stream]) => {
      const out = new Float32Array(4);
      fillNormal(out, 1, seed as string, stream as string);
      return out.join();
    });
    expect(new Set(drawn).size).to.equal(3);
  });
});

/** From an independent computation with Python's hashlib and a ChaCha20 of its own. */
const FIXED_DEVIATES = [-0.5329132080078125, -0.47027587890625, -1.739959716796875, -1.49169921875];

describe('the SmolVLA adapter', () => {
  it('has 742,656 parameters in 74 tensors of 37 modules at the default rank', () => {
    const shapes = smolVlaShapes();
    const count = shapes.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(count).to.equal(742_656);
    expect(shapes.length).to.equal(74);
    expect(new Set(shapes.map(({ name }) => classifyTensor(name).module)).size).to.equal(37);
    expect(shapes.every(({ name }) => classifyTensor(name).kind !== 'full')).to.equal(true);
  });

  it('adapts exactly modules that its configuration targets', () => {
    const pattern = new RegExp(`^(?:${smolVlaConfig().target_modules as string})$`);
    for (const { name } of smolVlaShapes()) expect(classifyTensor(name).module).to.match(pattern);
  });

  it('scales with the rank, in shapes and configuration alike', () => {
    expect(smolVlaConfig(4).r).to.equal(4);
    expect(smolVlaShapes(4)[0]?.shape).to.deep.equal([4, 720]);
    expect(smolVlaShapes(4)[1]?.shape).to.deep.equal([960, 4]);
  });
});

describe('a synthetic adapter', () => {
  it('is an adapter, the same to the byte for the same seed and another for another', async () => {
    await withDirectory(async (parent) => {
      const [one, again, other] = ['one', 'again', 'other'].map((name) => join(parent, name)) as [
        string,
        string,
        string,
      ];
      await writeSyntheticAdapter(one, { seed: 'fleet' });
      await writeSyntheticAdapter(again, { seed: 'fleet' });
      await writeSyntheticAdapter(other, { seed: 'fleet 2' });
      const bytes = await Promise.all(
        [one, again, other].map((name) => readFile(join(name, 'adapter_model.safetensors'))),
      );
      expect(bytes[0]?.equals(bytes[1] as Buffer)).to.equal(true);
      expect(bytes[0]?.equals(bytes[2] as Buffer)).to.equal(false);
      const { config, tensors } = await loadPeftAdapter(one);
      expect(config).to.deep.equal(smolVlaConfig());
      expect([...tensors.names].sort()).to.deep.equal(
        smolVlaShapes()
          .map(({ name }) => name)
          .sort(),
      );
      await tensors.close();
      const all = Float32Array.from([...(await valuesIn(one)).values()].flatMap((values) => [...values]));
      expect(all.length).to.equal(742_656);
      expect(moments(all).deviation).to.be.within(0.0199, 0.0201);
    });
  });

  it('takes other shapes, dtypes and deviations', async () => {
    await withDirectory(async (directory) => {
      await writeSyntheticAdapter(directory, {
        seed: 's',
        shapes: small,
        dtype: 'BF16',
        standardDeviation: 1,
      });
      const { tensors } = await loadPeftAdapter(directory);
      expect(tensors.info(small[1]?.name as string)).to.include({ dtype: 'BF16', elementCount: 10 });
      await tensors.close();
    });
  });

  it('is perturbed by each robot in its own, reproducible way, the configuration untouched', async () => {
    await withDirectory(async (parent) => {
      const base = join(parent, 'base');
      await writeSyntheticAdapter(base, { seed: 'fleet', shapes: smolVlaShapes().slice(0, 4) });
      const before = await valuesIn(base);
      const deltas: string[] = [];
      for (const [directory, seed] of [
        ['r1', 'robot 1'],
        ['r1 again', 'robot 1'],
        ['r2', 'robot 2'],
      ] as const) {
        const robot = join(parent, directory);
        await perturbAdapter(base, robot, { seed, standardDeviation: 0.005 });
        const after = await valuesIn(robot);
        const delta = Float32Array.from(
          [...before].flatMap(([name, values]) =>
            [...values].map((value, i) => (after.get(name)?.[i] as number) - value),
          ),
        );
        expect(moments(delta).deviation).to.be.within(0.0048, 0.0052);
        expect(Math.abs(moments(delta).mean)).to.be.lessThan(0.0002);
        deltas.push(delta.join());
        expect(await readFile(join(robot, 'adapter_config.json'))).to.deep.equal(
          await readFile(join(base, 'adapter_config.json')),
        );
      }
      expect(deltas[0]).to.equal(deltas[1]);
      expect(deltas[0]).not.to.equal(deltas[2]);
      expect(await valuesIn(base)).to.deep.equal(before);
    });
  });
});
