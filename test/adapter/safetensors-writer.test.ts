import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { openSafetensors } from '../../lib/adapter/safetensors-reader.js';
import { type TensorToWrite, writeSafetensors } from '../../lib/adapter/safetensors-writer.js';
import { expectRefusal } from './refusals.js';
import { fileOf, floatBytes, member, withDirectory } from './safetensors-vectors.js';

const tensor = (name: string, ...values: number[]): TensorToWrite => ({
  name,
  dtype: 'F32',
  shape: [values.length],
  data: Float32Array.from(values),
});

describe('the safetensors writer', () => {
  it('writes the bytes that the format lays down: length, JSON, spaces to a multiple of 8, data', async () => {
    await withDirectory(async (directory) => {
      const path = join(directory, 'x.safetensors');
      await writeSafetensors(path, [tensor('w', 1, -2)], { format: 'pt' });
      const json = `{"__metadata__":{"format":"pt"},${member('w', 'F32', [2], 0, 8)}}`;
      const padded = json.padEnd(Math.ceil(json.length / 8) * 8);
      expect(padded.length).to.be.greaterThan(json.length);
      expect(await readFile(path)).to.deep.equal(fileOf(padded, floatBytes(1, -2)));
    });
  });

  it('lays tensors out by dtype and name, whatever the order they are given in', async () => {
    await withDirectory(async (directory) => {
      const given: TensorToWrite[] = [
        { name: 'a', dtype: 'F16', shape: [1], data: Float32Array.of(1) },
        { name: 'b', dtype: 'BF16', shape: [1], data: Float32Array.of(1) },
        { name: 'd', dtype: 'F32', shape: [1], data: Float32Array.of(1) },
        { name: 'c', dtype: 'F32', shape: [], data: Float32Array.of(1) },
      ];
      const one = join(directory, 'one');
      const two = join(directory, 'two');
      await writeSafetensors(one, given, { b: '2', a: '1' });
      await writeSafetensors(two, [...given].reverse(), { a: '1', b: '2' });
      const bytes = await readFile(one);
      expect(await readFile(two)).to.deep.equal(bytes);
      const header = bytes.subarray(8).toString('latin1');
      const order = ['"c"', '"d"', '"b":{', '"a":{'].map((name) => header.indexOf(name));
      expect(order).to.deep.equal([...order].sort((x, y) => x - y));
      expect(bytes.subarray(-4)).to.deep.equal(Buffer.from('803f003c', 'hex'));
    });
  });

  it('gives back what it wrote, for any tensors', async () => {
    const spec = fc.record({
      name: fc.string({ unit: 'binary', maxLength: 8 }).filter((name) => name !== '__metadata__'),
      dtype: fc.constantFrom('F32' as const, 'F16' as const, 'BF16' as const),
      shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 3 }),
      fill: fc.integer({ min: -256, max: 256 }),
    });
    await withDirectory(async (directory) => {
      await fc.assert(
        fc.asyncProperty(
          fc.uniqueArray(spec, { selector: ({ name }) => name, maxLength: 6 }),
          async (specs) => {
            const path = join(directory, 'x');
            await writeSafetensors(
              path,
              specs.map(({ name, dtype, shape, fill }) => ({
                name,
                dtype,
                shape,
                data: (out) => {
                  out.forEach((_, i) => {
                    out[i] = fill - i;
                  });
                },
              })),
            );
            expect((await stat(path)).size % 2).to.equal(0);
            const reader = await openSafetensors(path);
            try {
              expect([...reader.names].sort()).to.deep.equal(specs.map(({ name }) => name).sort());
              for (const { name, dtype, shape, fill } of specs) {
                const info = reader.info(name);
                expect([info.dtype, info.shape]).to.deep.equal([dtype, shape]);
                const out = new Float32Array(info.elementCount);
                await reader.readTensor(name, out);
                // -256 - 124 has 9 bits, one more than bfloat16 keeps; values in between round.
                const tolerance = dtype === 'BF16' ? 1 : 0;
                for (const [i, value] of out.entries())
                  expect(Math.abs(value - (fill - i))).to.be.at.most(tolerance);
              }
            } finally {
              await reader.close();
            }
          },
        ),
        { numRuns: 60 },
      );
    });
  });

  it('writes tensors larger than its staging buffer, each value in its place', async () => {
    const count = 1_100_003;
    const fill = (out: Float32Array) => {
      for (let i = 0; i < out.length; i++) out[i] = i % 2048;
    };
    await withDirectory(async (directory) => {
      const path = join(directory, 'x');
      await writeSafetensors(path, [
        { name: 'f', dtype: 'F32', shape: [count], data: fill },
        { name: 'h', dtype: 'F16', shape: [count], data: fill },
      ]);
      const reader = await openSafetensors(path);
      const out = new Float32Array(count);
      for (const name of ['f', 'h']) {
        await reader.readTensor(name, out);
        const wrong = out.findIndex((value, i) => value !== i % 2048);
        expect(wrong).to.equal(-1);
      }
      await reader.close();
    });
  });

  it('hands every filling function an array of exactly the tensor, even after a larger one', async () => {
    await withDirectory(async (directory) => {
      const lengths: number[] = [];
      const data = async (out: Float32Array) => {
        lengths.push(out.length);
        out.fill(0);
      };
      await writeSafetensors(join(directory, 'x'), [
        { name: 'a', dtype: 'F32', shape: [100], data },
        { name: 'b', dtype: 'F32', shape: [3], data },
        { name: 'c', dtype: 'F32', shape: [200], data },
      ]);
      expect(lengths).to.deep.equal([100, 3, 200]);
    });
  });

  it('refuses, naming the tensor, and leaves nothing behind', async () => {
    const refused: [string, readonly TensorToWrite[], Record<string, string>, string[]][] = [
      ['safetensors.data-length', [{ ...tensor('w', 1, 2), shape: [3] }], {}, ['"w"', '3']],
      ['safetensors.duplicate-name', [tensor('w', 1), tensor('w', 2)], {}, ['"w"']],
      ['safetensors.name-invalid', [tensor('__metadata__', 1)], {}, ['"__metadata__"']],
      ['safetensors.name-invalid', [tensor('\ud800', 1)], {}, []],
      ['safetensors.metadata-invalid', [], { key: '\udc00' }, []],
      ['safetensors.shape-invalid', [{ ...tensor('w', 1), shape: [-1] }], {}, ['"w"', '-1']],
      ['safetensors.shape-invalid', [{ ...tensor('w', 1), shape: [0.5] }], {}, ['"w"']],
      ['safetensors.shape-overflow', [{ ...tensor('w', 1), shape: [2 ** 30, 2 ** 30] }], {}, ['"w"']],
      ['safetensors.non-finite', [tensor('v', 0), tensor('w', 0, NaN)], {}, ['"w"', 'index 1']],
      ['safetensors.overflow', [{ ...tensor('w', 0, 65520), dtype: 'F16' }], {}, ['"w"', 'index 1', '65520']],
      ['safetensors.overflow', [{ ...tensor('w', 3.4e38), dtype: 'BF16' }], {}, ['"w"', 'index 0']],
    ];
    await withDirectory(async (directory) => {
      for (const [code, tensors, metadata, parts] of refused) {
        await expectRefusal(() => writeSafetensors(join(directory, 'x'), tensors, metadata), code, ...parts);
        expect(await readdir(directory)).to.deep.equal([]);
      }
    });
  });

  it('names the index in the tensor, not in the part of it that was being converted', async () => {
    const values = new Float32Array(600_000);
    values[599_999] = 1e6;
    await withDirectory(async (directory) => {
      const tensors: TensorToWrite[] = [{ name: 'w', dtype: 'F16', shape: [600_000], data: values }];
      await expectRefusal(
        () => writeSafetensors(join(directory, 'x'), tensors),
        'safetensors.overflow',
        'index 599999',
      );
    });
  });

  it('stores infinities and NaNs when told to, and still refuses an overflow', async () => {
    await withDirectory(async (directory) => {
      const path = join(directory, 'x');
      const options = { nonFinite: 'allow' } as const;
      await writeSafetensors(path, [{ ...tensor('w', Infinity, NaN), dtype: 'F16' }], {}, options);
      const reader = await openSafetensors(path, options);
      const out = new Float32Array(2);
      await reader.readTensor('w', out);
      await reader.close();
      expect([...out]).to.deep.equal([Infinity, NaN]);
      const large: TensorToWrite = { ...tensor('w', 1e9), dtype: 'F16' };
      await expectRefusal(() => writeSafetensors(path, [large], {}, options), 'safetensors.overflow');
    });
  });

  it('keeps the file that was there when filling fails half-way', async () => {
    await withDirectory(async (directory) => {
      const path = join(directory, 'x');
      await writeSafetensors(path, [tensor('w', 1)]);
      const before = await readFile(path);
      const failing: TensorToWrite = {
        name: 'z',
        dtype: 'F32',
        shape: [1],
        data: () => Promise.reject(new Error('the source is gone')),
      };
      let message = '';
      await writeSafetensors(path, [tensor('a', 1), failing]).catch((error: Error) => {
        message = error.message;
      });
      expect(message).to.equal('the source is gone');
      expect(await readFile(path)).to.deep.equal(before);
      expect(await readdir(directory)).to.deep.equal(['x']);
    });
  });
});
