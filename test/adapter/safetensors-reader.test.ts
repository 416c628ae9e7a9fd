import { truncate } from 'node:fs/promises';
import { expect } from 'chai';
import { openSafetensors, type SafetensorsReadOptions } from '../../lib/adapter/safetensors-reader.js';
import { expectRefusal } from './refusals.js';
import { fileOf, floatBytes, member, withFile } from './safetensors-vectors.js';

async function read(path: string, name: string, options?: SafetensorsReadOptions): Promise<number[]> {
  const reader = await openSafetensors(path, options);
  try {
    const out = new Float32Array(reader.info(name).elementCount);
    await reader.readTensor(name, out);
    return [...out];
  } finally {
    await reader.close();
  }
}

describe('the safetensors reader', () => {
  it('reads tensors of all three dtypes, in whatever order they lie', async () => {
    const halves = Buffer.from(Uint16Array.of(0x3c00, 0xc000, 0x0001).buffer);
    const brains = Buffer.from(Uint16Array.of(0x3f80, 0xc049).buffer);
    const header = `{${member('single', 'F32', [2, 1], 10, 18)},${member('half', 'F16', [3], 0, 6)},${member('brain', 'BF16', [1, 2], 6, 10)}}`;
    await withFile(fileOf(header, Buffer.concat([halves, brains, floatBytes(0.1, -3)])), async (path) => {
      expect(await read(path, 'single')).to.deep.equal([Math.fround(0.1), -3]);
      expect(await read(path, 'half')).to.deep.equal([1, -2, 2 ** -24]);
      expect(await read(path, 'brain')).to.deep.equal([1, -3.140625]);
      const reader = await openSafetensors(path);
      expect(reader.info('brain')).to.deep.equal({
        name: 'brain',
        dtype: 'BF16',
        shape: [1, 2],
        elementCount: 2,
      });
      await reader.close();
    });
  });

  it('lists names by their UTF-8 bytes, which is not how JavaScript compares strings', async () => {
    // U+FF5E is below U+1F916 in UTF-8, and above its surrogates in UTF-16.
    const names = ['b', 'a.10', 'a.2', 'a', '\u{1f916}', '\uff5e', 'B'];
    const header = `{${names.map((name, i) => member(name, 'F32', [1], i * 4, i * 4 + 4)).join(',')}}`;
    await withFile(fileOf(header, floatBytes(...names.keys())), async (path) => {
      const reader = await openSafetensors(path);
      expect(reader.names).to.deep.equal(['B', 'a', 'a.10', 'a.2', 'b', '\uff5e', '\u{1f916}']);
      await reader.close();
      expect(await read(path, '\uff5e')).to.deep.equal([5]);
    });
  });

  it('reads names that mean something to JavaScript', async () => {
    const header = `{${member('__proto__', 'F32', [1], 0, 4)},${member('constructor', 'F32', [1], 4, 8)}}`;
    await withFile(fileOf(header, floatBytes(1, 2)), async (path) => {
      expect(await read(path, '__proto__')).to.deep.equal([1]);
      expect(await read(path, 'constructor')).to.deep.equal([2]);
      await expectRefusal(() => read(path, 'toString'), 'safetensors.tensor-unknown', '"toString"');
    });
  });

  it('reads scalars, empty tensors at any place, and a file of no tensors', async () => {
    const header = `{${member('empty first', 'F32', [0, 7], 0, 0)},${member('scalar', 'F32', [], 0, 4)},${member('empty last', 'F16', [3, 0], 4, 4)}}`;
    await withFile(fileOf(header, floatBytes(5)), async (path) => {
      expect(await read(path, 'scalar')).to.deep.equal([5]);
      expect(await read(path, 'empty first')).to.deep.equal([]);
      expect(await read(path, 'empty last')).to.deep.equal([]);
    });
    await withFile(fileOf('{}'), async (path) => {
      const reader = await openSafetensors(path);
      expect(reader.names).to.deep.equal([]);
      await reader.close();
    });
  });

  it('gives the metadata', async () => {
    await withFile(fileOf('{"__metadata__":{"format":"pt","":"\\u00e4"}}   '), async (path) => {
      const reader = await openSafetensors(path);
      expect([...reader.metadata]).to.deep.equal([
        ['format', 'pt'],
        ['', 'ä'],
      ]);
      await reader.close();
    });
  });

  it('reads into the middle of a larger buffer without touching what is around it', async () => {
    await withFile(fileOf(`{${member('w', 'F32', [2], 0, 8)}}`, floatBytes(1, 2)), async (path) => {
      const around = new Float32Array(4).fill(9);
      const reader = await openSafetensors(path);
      await reader.readTensor('w', around.subarray(1, 3));
      await reader.close();
      expect([...around]).to.deep.equal([9, 1, 2, 9]);
    });
  });

  it('reads 16-bit tensors larger than its staging buffer', async () => {
    const count = 1_200_001;
    const data = Uint16Array.from({ length: count }, (_, i) => i % 0x7c00);
    await withFile(
      fileOf(`{${member('w', 'F16', [count], 0, count * 2)}}`, Buffer.from(data.buffer)),
      async (path) => {
        const reader = await openSafetensors(path);
        const out = new Float32Array(count);
        await reader.readTensor('w', out);
        await reader.close();
        expect(out[0x3c00]).to.equal(1);
        expect(out[37 * 0x7c00 + 0x3c00]).to.equal(1);
        expect(out[count - 1]).to.be.greaterThan(0);
      },
    );
  });

  it('refuses an array of the wrong length', async () => {
    await withFile(fileOf(`{${member('w', 'F32', [2], 0, 8)}}`, floatBytes(1, 2)), async (path) => {
      const reader = await openSafetensors(path);
      for (const length of [0, 1, 3]) {
        await expectRefusal(
          () => reader.readTensor('w', new Float32Array(length)),
          'safetensors.out-length',
          '"w"',
        );
      }
      await reader.close();
    });
  });

  for (const bad of [NaN, Infinity, -Infinity]) {
    it(`refuses ${bad} by default, naming tensor and index, and reads it when told to`, async () => {
      await withFile(fileOf(`{${member('w', 'F32', [3], 0, 12)}}`, floatBytes(1, 2, bad)), async (path) => {
        await expectRefusal(() => read(path, 'w'), 'safetensors.non-finite', '"w"', 'index 2');
        expect(await read(path, 'w', { nonFinite: 'allow' })).to.deep.equal([1, 2, bad]);
      });
    });
  }

  it('refuses the infinities of 16-bit tensors as well', async () => {
    const data = Buffer.from(Uint16Array.of(0, 0xfc00).buffer);
    await withFile(fileOf(`{${member('w', 'F16', [2], 0, 4)}}`, data), async (path) => {
      await expectRefusal(() => read(path, 'w'), 'safetensors.non-finite', 'index 1');
    });
  });

  it('notices that the file was cut short after it was opened', async () => {
    const bytes = fileOf(`{${member('w', 'F32', [2], 0, 8)}}`, floatBytes(1, 2));
    await withFile(bytes, async (path) => {
      const reader = await openSafetensors(path);
      await truncate(path, bytes.length - 4);
      await expectRefusal(() => reader.readTensor('w', new Float32Array(2)), 'safetensors.file-changed');
      await reader.close();
    });
  });
});
