import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { compareAdapters } from '../../lib/adapter/adapter-difference.js';
import { loadPeftAdapter } from '../../lib/adapter/peft.js';
import type { SafetensorsReader } from '../../lib/adapter/safetensors-reader.js';
import { adapterValues, normOf, SHAPES, writeAdapter, writeValues } from '../round/support/adapters.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const [Q_A, Q_B, V_A, V_B] = SHAPES.map(({ name }) => name) as [string, string, string, string];

describe('comparing adapters', () => {
  let directory: string;
  before(async () => {
    directory = await temporaryDirectory();
  });
  const at = (name: string): string => join(directory, name);

  async function compare(a: string, b: string, watch?: (name: string) => void) {
    const [left, right] = await Promise.all([a, b].map((path) => loadPeftAdapter(path)));
    const [one, other] = [left?.tensors, right?.tensors] as [SafetensorsReader, SafetensorsReader];
    const watched = (tensors: SafetensorsReader) => ({
      names: tensors.names,
      info: (name: string) => tensors.info(name),
      readTensor: (name: string, out: Float32Array) => {
        watch?.(name);
        return tensors.readTensor(name, out);
      },
    });
    try {
      return await compareAdapters(watched(one), watched(other));
    } finally {
      await one.close();
      await other.close();
    }
  }

  it('gives norms, relative change and cosine as they are computed from the values', async () => {
    const a = await writeAdapter(at('a'), 'a');
    const b = await writeAdapter(at('b'), 'b');
    const [left, right] = [await adapterValues(a), await adapterValues(b)];
    const { tensors, modules, total, ...rest } = await compare(a, b);
    expect(rest).to.deep.equal({ onlyInA: [], onlyInB: [], shapeChanges: [] });
    expect(tensors.map(({ name }) => name)).to.have.members([Q_A, Q_B, V_A, V_B]);
    const closeTo = (found: number | undefined, expected: number): void => {
      expect(found).to.be.closeTo(expected, 1e-12 + Math.abs(expected) * 1e-12);
    };
    for (const { name, ...norms } of tensors) {
      const [x, y] = [left.get(name), right.get(name)] as [Float32Array, Float32Array];
      const dot = x.reduce((sum, value, i) => sum + value * (y[i] as number), 0);
      const difference = Math.sqrt(x.reduce((sum, value, i) => sum + (value - (y[i] as number)) ** 2, 0));
      const [normX, normY] = [x, y].map((values) => Math.hypot(...values)) as [number, number];
      closeTo(norms.normA, normX);
      closeTo(norms.normB, normY);
      closeTo(norms.normDifference, difference);
      closeTo(norms.relative, difference / normX);
      closeTo(norms.cosine, dot / (normX * normY));
    }
    closeTo(total.normA, normOf(left));
    closeTo(total.normB, normOf(right));
    const changes = tensors.map(({ relative }) => relative as number);
    expect(changes).to.deep.equal([...changes].sort((x, y) => y - x));
    const q = modules.find(({ module }) => module === 'layers.0.q_proj');
    closeTo(q?.normA, Math.hypot(...(left.get(Q_A) as Float32Array), ...(left.get(Q_B) as Float32Array)));
    expect(q?.tensors).to.equal(2);
  });

  it('finds no difference between an adapter and itself', async () => {
    const a = await writeAdapter(at('same'), 'a');
    const { total, tensors } = await compare(a, a);
    expect(total).to.include({ normDifference: 0, relative: 0 });
    expect(total.cosine).to.be.closeTo(1, 1e-15).and.at.most(1);
    expect(tensors.every(({ normDifference }) => normDifference === 0)).to.equal(true);
  });

  it('leaves out what is not defined: a change of nothing, and the direction of nothing; and puts it first', async () => {
    const fill = (value: (name: string) => number) => (name: string, out: Float32Array) => {
      out.fill(value(name));
    };
    const a = await writeValues(
      at('zero-b'),
      fill((name) => (name === Q_B || name === V_B ? 0 : 1)),
    );
    const b = await writeValues(
      at('trained'),
      fill((name) => (name === V_B ? 0 : 2)),
    );
    const { tensors } = await compare(a, b);
    expect(tensors[0]).to.include({ name: Q_B, normA: 0, normDifference: tensors[0]?.normB });
    expect(tensors[0]).to.not.have.any.keys('relative', 'cosine');
    const unchanged = tensors.at(-1);
    expect(unchanged).to.include({ name: V_B, relative: 0, normDifference: 0 });
    expect(unchanged).to.not.have.property('cosine');
    expect(tensors[1]).to.include({ relative: 1, cosine: 1 });
  });

  it('names tensors that one lacks, and other shapes, and counts neither', async () => {
    const a = await writeAdapter(at('four'), 'a');
    const shapes = [
      { name: Q_A, shape: [4, 160] },
      { name: Q_B, shape: [160, 4] },
      { name: V_B, shape: [80, 4] },
      { name: 'base_model.model.head.weight', shape: [3] },
    ];
    const b = await writeAdapter(at('other'), 'b', { shapes });
    const { onlyInA, onlyInB, shapeChanges, tensors, total } = await compare(a, b);
    expect({ onlyInA, onlyInB, shapeChanges }).to.deep.equal({
      onlyInA: [V_A],
      onlyInB: ['base_model.model.head.weight'],
      shapeChanges: [{ name: V_B, a: [96, 4], b: [80, 4] }],
    });
    expect(tensors.map(({ name }) => name)).to.have.members([Q_A, Q_B]);
    expect(total.normA).to.be.closeTo(Math.hypot(...tensors.map(({ normA }) => normA)), 1e-12);
  });

  it('reads the two of a tensor before the next one', async () => {
    const read: string[] = [];
    await compare(await writeAdapter(at('x'), 'x'), await writeAdapter(at('y'), 'y'), (name) =>
      read.push(name),
    );
    expect(read).to.deep.equal([Q_A, Q_A, Q_B, Q_B, V_A, V_A, V_B, V_B].sort());
  });

  it('refuses an adapter with a value that is no number', async () => {
    const a = await writeAdapter(at('sound'), 'a');
    const b = await writeAdapter(at('broken'), 'b');
    const path = join(b, 'adapter_model.safetensors');
    const bytes = await readFile(path);
    bytes.writeFloatLE(Number.NaN, bytes.length - 4);
    await writeFile(path, bytes);
    await expectRefusal('safetensors.non-finite', () => compare(a, b));
  });
});
