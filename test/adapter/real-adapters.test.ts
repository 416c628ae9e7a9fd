import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { adapterSchema, adapterSchemaFingerprint } from '../../lib/adapter/adapter-schema.js';
import { loadPeftAdapter, writePeftAdapter } from '../../lib/adapter/peft.js';
import { classifyTensor } from '../../lib/adapter/tensor-roles.js';
import { REAL_ADAPTERS, type RealAdapter, realAdapterDirectory } from '../support/real-adapters.js';
import { withDirectory } from './safetensors-vectors.js';

/** Counted with the reference implementation. */
const EXPECTED: Record<RealAdapter, { loraModules: number; full: string[]; parameters: number }> = {
  'distilbert-imdb-lora-r8': {
    loraModules: 12,
    full: [
      'base_model.model.classifier.bias',
      'base_model.model.classifier.weight',
      'base_model.model.pre_classifier.bias',
      'base_model.model.pre_classifier.weight',
    ],
    parameters: 739_586,
  },
  'gpt2-lora-r8': { loraModules: 12, full: ['base_model.model.score.weight'], parameters: 299_520 },
};

for (const name of REAL_ADAPTERS) {
  describe(`the published adapter ${name}`, () => {
    it('is read whole and classified', async function () {
      const adapter = await loadPeftAdapter(realAdapterDirectory(this, name));
      try {
        const { names } = adapter.tensors;
        const expected = EXPECTED[name];
        const modules = new Map<string, string[]>();
        const full: string[] = [];
        for (const tensor of names) {
          const { kind, module } = classifyTensor(tensor);
          if (kind === 'full') full.push(tensor);
          else modules.set(module, [...(modules.get(module) ?? []), kind]);
        }
        expect(full).to.deep.equal(expected.full);
        expect(modules.size).to.equal(expected.loraModules);
        for (const kinds of modules.values()) expect(kinds).to.deep.equal(['lora-a', 'lora-b']);
        const parameters = names.reduce((sum, tensor) => sum + adapter.tensors.info(tensor).elementCount, 0);
        expect(parameters).to.equal(expected.parameters);
        expect(adapter.config.r).to.equal(8);
      } finally {
        await adapter.tensors.close();
      }
    });

    it('is written back to the same bytes: configuration, header and tensors', async function () {
      const source = realAdapterDirectory(this, name);
      await withDirectory(async (directory) => {
        const adapter = await loadPeftAdapter(source);
        try {
          const schema = adapterSchema(adapter.tensors);
          await writePeftAdapter(directory, {
            configBytes: adapter.configBytes,
            tensors: schema.map((tensor) => ({
              ...tensor,
              data: (out) => adapter.tensors.readTensor(tensor.name, out),
            })),
          });
          const copy = await loadPeftAdapter(directory);
          try {
            expect(adapterSchema(copy.tensors)).to.deep.equal(schema);
            expect(adapterSchemaFingerprint(adapterSchema(copy.tensors))).to.deep.equal(
              adapterSchemaFingerprint(schema),
            );
          } finally {
            await copy.tensors.close();
          }
        } finally {
          await adapter.tensors.close();
        }
        for (const file of ['adapter_config.json', 'adapter_model.safetensors']) {
          const [before, after] = await Promise.all([
            readFile(join(source, file)),
            readFile(join(directory, file)),
          ]);
          expect(before.equals(after), `${file} differs`).to.equal(true);
        }
      });
    });
  });
}
