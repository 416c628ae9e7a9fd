import { mkdir, readdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadPeftAdapter, writePeftAdapter } from '../../lib/adapter/peft.js';
import type { TensorToWrite } from '../../lib/adapter/safetensors-writer.js';
import { expectRefusal } from './refusals.js';
import { withDirectory } from './safetensors-vectors.js';

const configBytes = Buffer.from('{ "peft_type": "LORA",\n"r": 1, "unknown": [1e3] }\n');
const otherConfigBytes = Buffer.from('{"peft_type":"LORA","r":1,"revision":"main"}');

const tensors = (value: number): TensorToWrite[] => [
  {
    name: 'base_model.model.q.lora_A.weight',
    dtype: 'F32',
    shape: [1, 2],
    data: Float32Array.of(value, value),
  },
  { name: 'base_model.model.q.lora_B.weight', dtype: 'F16', shape: [1, 1], data: Float32Array.of(value) },
];

async function valueIn(directory: string): Promise<number> {
  const adapter = await loadPeftAdapter(directory);
  try {
    const out = new Float32Array(1);
    await adapter.tensors.readTensor('base_model.model.q.lora_B.weight', out);
    return out[0] as number;
  } finally {
    await adapter.tensors.close();
  }
}

describe('a PEFT adapter directory', () => {
  it('is read back as it was written, the configuration to the byte', async () => {
    await withDirectory(async (parent) => {
      const directory = join(parent, 'deep', 'adapter');
      await writePeftAdapter(directory, { configBytes, tensors: tensors(2) });
      const adapter = await loadPeftAdapter(directory);
      expect(Buffer.from(adapter.configBytes)).to.deep.equal(configBytes);
      expect(adapter.config).to.deep.equal({ peft_type: 'LORA', r: 1, unknown: [1000] });
      expect([...adapter.tensors.metadata]).to.deep.equal([['format', 'pt']]);
      await adapter.tensors.close();
      expect(await valueIn(directory)).to.equal(2);
      expect(await readdir(join(parent, 'deep'))).to.deep.equal(['adapter']);
    });
  });

  it('is read and written with another PEFT type where that is allowed, whatever its tensors', async () => {
    await withDirectory(async (parent) => {
      const directory = join(parent, 'adapter');
      const peftTypes = ['LORA', 'IA3'];
      const ia3 = {
        configBytes: Buffer.from('{"peft_type":"IA3"}'),
        tensors: [
          { name: 'base_model.model.q.ia3_l', dtype: 'F32', shape: [2, 1], data: Float32Array.of(1, 2) },
        ] satisfies TensorToWrite[],
      };
      await expectRefusal(() => writePeftAdapter(directory, ia3), 'adapter.peft-type-unsupported', 'IA3');
      await writePeftAdapter(directory, ia3, { peftTypes });
      await expectRefusal(() => loadPeftAdapter(directory), 'adapter.peft-type-unsupported', 'IA3');
      const { config, tensors } = await loadPeftAdapter(directory, { peftTypes });
      expect(config.peft_type).to.equal('IA3');
      expect(tensors.names).to.deep.equal(['base_model.model.q.ia3_l']);
      await tensors.close();
      await writePeftAdapter(directory, { ...ia3, configBytes }, { peftTypes });
      await expectRefusal(() => loadPeftAdapter(directory, { peftTypes }), 'adapter.no-lora-tensors');
    });
  });

  it('replaces an adapter, with the same configuration or another, and keeps its model card', async () => {
    await withDirectory(async (parent) => {
      const directory = join(parent, 'adapter');
      await writePeftAdapter(directory, { configBytes, tensors: tensors(1) });
      await writeFile(join(directory, 'README.md'), 'card');
      await writePeftAdapter(directory, { configBytes, tensors: tensors(2) });
      expect(await valueIn(directory)).to.equal(2);
      await writePeftAdapter(directory, { configBytes: otherConfigBytes, tensors: tensors(3) });
      expect(await valueIn(directory)).to.equal(3);
      expect(await readFile(join(directory, 'adapter_config.json'))).to.deep.equal(otherConfigBytes);
      expect(await readFile(join(directory, 'README.md'), 'utf8')).to.equal('card');
      expect(await readdir(parent)).to.deep.equal(['adapter']);
    });
  });

  it('replaces an empty directory, and the half of an adapter', async () => {
    await withDirectory(async (parent) => {
      const directory = join(parent, 'adapter');
      await mkdir(directory);
      await writePeftAdapter(directory, { configBytes, tensors: tensors(1) }, { replace: false });
      await rm(join(directory, 'adapter_config.json'));
      await writePeftAdapter(directory, { configBytes, tensors: tensors(2) });
      expect(await valueIn(directory)).to.equal(2);
    });
  });

  it('never replaces what is not an adapter, holds more than one, or must not be replaced', async () => {
    await withDirectory(async (parent) => {
      const directory = join(parent, 'adapter');
      await mkdir(directory);
      await writeFile(join(directory, 'README.md'), 'notes');
      const write = (options = {}) =>
        writePeftAdapter(directory, { configBytes, tensors: tensors(9) }, options);
      await expectRefusal(() => write(), 'adapter.directory-not-empty', directory);
      await rm(join(directory, 'README.md'));
      await write();
      await expectRefusal(() => write({ replace: false }), 'adapter.directory-not-empty', directory);
      await writeFile(join(directory, 'thesis.tex'), '');
      await expectRefusal(() => write(), 'adapter.directory-not-empty', 'thesis.tex');
      expect((await readdir(directory)).sort()).to.deep.equal([
        'adapter_config.json',
        'adapter_model.safetensors',
        'thesis.tex',
      ]);
    });
  });

  it('keeps the old adapter, and nothing beside it, when writing the new one fails', async () => {
    await withDirectory(async (parent) => {
      const directory = join(parent, 'adapter');
      await writePeftAdapter(directory, { configBytes, tensors: tensors(1) });
      for (const config of [configBytes, otherConfigBytes]) {
        await expectRefusal(
          () => writePeftAdapter(directory, { configBytes: config, tensors: tensors(NaN) }),
          'safetensors.non-finite',
        );
      }
      await expectRefusal(
        () =>
          writePeftAdapter(directory, {
            configBytes: Buffer.from('{"peft_type":"IA3"}'),
            tensors: tensors(2),
          }),
        'adapter.peft-type-unsupported',
      );
      expect(await valueIn(directory)).to.equal(1);
      expect(await readdir(parent)).to.deep.equal(['adapter']);
    });
  });

  it('is still the old one after a crash between the two renames of a replacement', async () => {
    await withDirectory(async (parent) => {
      const directory = join(parent, 'adapter');
      await writePeftAdapter(directory, { configBytes, tensors: tensors(1) });
      await rename(directory, join(parent, '.adapter.tensorguard-previous'));
      expect(await valueIn(directory)).to.equal(1);
      await expectRefusal(
        () => writePeftAdapter(directory, { configBytes: otherConfigBytes, tensors: tensors(NaN) }),
        'safetensors.non-finite',
      );
      expect(await readdir(parent)).to.deep.equal(['adapter']);
      expect(await valueIn(directory)).to.equal(1);
    });
  });

  it('is the new one after a crash that left the old one undeleted', async () => {
    await withDirectory(async (parent) => {
      const directory = join(parent, 'adapter');
      const previous = join(parent, '.adapter.tensorguard-previous');
      await writePeftAdapter(previous, { configBytes, tensors: tensors(1) });
      await writePeftAdapter(directory, { configBytes: otherConfigBytes, tensors: tensors(2) });
      expect(await valueIn(directory)).to.equal(2);
      expect(await readdir(parent)).to.deep.equal(['adapter']);
    });
  });

  it('survives beside an empty directory until a whole new one has taken its place', async () => {
    await withDirectory(async (parent) => {
      const directory = join(parent, 'adapter');
      const previous = join(parent, '.adapter.tensorguard-previous');
      await writePeftAdapter(previous, { configBytes, tensors: tensors(1) });
      await mkdir(directory);
      await expectRefusal(
        () => writePeftAdapter(directory, { configBytes, tensors: tensors(NaN) }),
        'safetensors.non-finite',
      );
      expect(await valueIn(previous)).to.equal(1);
      await writePeftAdapter(directory, { configBytes, tensors: tensors(2) });
      expect(await valueIn(directory)).to.equal(2);
      expect(await readdir(parent)).to.deep.equal(['adapter']);
    });
  });

  it('is refused when something is missing, and a pickle is never read in its place', async () => {
    await withDirectory(async (parent) => {
      const directory = join(parent, 'adapter');
      await expectRefusal(() => loadPeftAdapter(directory), 'adapter.file-missing', 'adapter_config.json');
      await mkdir(directory);
      await writeFile(join(directory, 'adapter_config.json'), configBytes);
      await expectRefusal(
        () => loadPeftAdapter(directory),
        'adapter.file-missing',
        'adapter_model.safetensors',
      );
      await writeFile(join(directory, 'adapter_model.bin'), 'pickle');
      await expectRefusal(() => loadPeftAdapter(directory), 'adapter.pickle-refused', 'safe_serialization');
      await expectRefusal(
        () => loadPeftAdapter(join(directory, 'adapter_config.json')),
        'adapter.directory-unreadable',
      );
    });
  });

  it('is refused for a configuration that is a device or larger than 1 MiB', async function () {
    if (process.platform === 'win32') this.skip();
    await withDirectory(async (directory) => {
      const path = join(directory, 'adapter_config.json');
      await symlink('/dev/zero', path);
      await expectRefusal(() => loadPeftAdapter(directory), 'adapter.not-a-file');
      await rm(path);
      await writeFile(path, configBytes);
      await truncate(path, 2 ** 30);
      await expectRefusal(() => loadPeftAdapter(directory), 'adapter.config-too-large');
    });
  });

  it('is refused for factors that do not multiply, with its file closed again', async () => {
    await withDirectory(async (directory) => {
      const [a, b] = tensors(1) as [TensorToWrite, TensorToWrite];
      const broken = { ...b, shape: [1, 2], data: Float32Array.of(1, 1) };
      await writePeftAdapter(directory, { configBytes, tensors: [a, broken] });
      await expectRefusal(() => loadPeftAdapter(directory), 'adapter.rank-mismatch', '"q"');
    });
  });
});
