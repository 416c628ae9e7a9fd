import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { expect } from 'chai';
import { adapterSchema, type TensorSchema } from '../../lib/adapter/adapter-schema.js';
import { frozenDigest, type LoraMode, selectTensors } from '../../lib/adapter/lora-modes.js';
import { openSafetensors, type SafetensorsReader } from '../../lib/adapter/safetensors-reader.js';
import { type TensorToWrite, writeSafetensors } from '../../lib/adapter/safetensors-writer.js';
import { smolVlaShapes } from '../../lib/adapter/smolvla.js';
import { RefusedError } from '../../lib/errors.js';
import { expectRefusal, refusalOf } from './refusals.js';
import { withDirectory } from './safetensors-vectors.js';

const tensor = (name: string, ...shape: number[]): TensorSchema => ({ name, shape, dtype: 'F32' });
const a = (module: string) => tensor(`base_model.model.${module}.lora_A.weight`, 4, 8);
const b = (module: string) => tensor(`base_model.model.${module}.lora_B.weight`, 8, 4);
const head = tensor('base_model.model.lm_head.weight', 10, 8);

const select = (
  schema: readonly TensorSchema[],
  mode: LoraMode,
  lists: { full?: readonly string[]; allowed?: readonly string[] } = {},
) =>
  selectTensors(schema, {
    mode,
    fullLayers: (module) => lists.full?.includes(module) ?? false,
    allowedModules: (module) => lists.allowed?.includes(module) ?? true,
  });

describe('the tensors that a round sends', () => {
  it('are both factors of every module and the listed full layers, in average mode', () => {
    const schema = [a('q'), b('q'), a('v'), b('v'), head];
    expect(select(schema, 'average', { full: ['lm_head'] })).to.deep.equal({ sent: schema, frozen: [] });
  });

  it('are the factors B and the listed full layers, in frozen-a mode', () => {
    expect(select([a('q'), b('q'), head, a('v'), b('v')], 'frozen-a', { full: ['lm_head'] })).to.deep.equal({
      sent: [b('q'), head, b('v')],
      frozen: [a('q'), a('v')],
    });
  });

  it('count the factors of an embedding among them', () => {
    const factorA = tensor('base_model.model.embed.lora_embedding_A', 4, 100);
    const factorB = tensor('base_model.model.embed.lora_embedding_B', 8, 4);
    expect(select([factorA, factorB], 'frozen-a')).to.deep.equal({ sent: [factorB], frozen: [factorA] });
  });

  it("halve SmolVLA's adapter in number in frozen-a mode", () => {
    const schema = smolVlaShapes().map(({ name, shape }) => tensor(name, ...shape));
    const { sent, frozen } = select(schema, 'frozen-a');
    expect([sent.length, frozen.length]).to.deep.equal([37, 37]);
    expect(sent.every(({ name }) => name.endsWith('lora_B.weight'))).to.equal(true);
  });

  it('do not include a full layer that the envelope does not list, which is named', async () => {
    for (const mode of ['average', 'frozen-a'] as const) {
      const error = await refusalOf(() => select([a('q'), b('q'), head], mode, { full: ['score'] }));
      expect(error).to.be.instanceOf(RefusedError);
      expect(error.code).to.equal('adapter.full-layer-not-listed');
      expect(error.message)
        .to.include(JSON.stringify(head.name))
        .and.include('"lm_head"')
        .and.include('fullLayers');
    }
  });

  it('do not include a module that the envelope does not allow, frozen or not', async () => {
    for (const mode of ['average', 'frozen-a'] as const) {
      await expectRefusal(
        () => select([a('q'), b('q'), a('v'), b('v')], mode, { allowed: ['q'] }),
        'adapter.module-not-allowed',
        'base_model.model.v.lora_A.weight',
      );
    }
  });

  it('need no listing as a trainable module where they are listed as a full layer', () => {
    const { sent } = select([a('q'), b('q'), head], 'average', { full: ['lm_head'], allowed: ['q'] });
    expect(sent).to.include(head);
  });

  it('are refused where a module lacks a factor', async () => {
    const cases: [LoraMode, TensorSchema[], string][] = [
      ['average', [a('q'), b('q'), a('v')], '"v"'],
      ['average', [a('q'), b('q'), b('v')], 'frozen-a'],
      ['average', [b('q')], 'frozen-a'],
      ['frozen-a', [a('q'), b('q'), a('v')], '"v"'],
      ['frozen-a', [a('q')], '"q"'],
      ['frozen-a', [a('q'), b('q'), b('v')], '"v"'],
    ];
    for (const [mode, schema, part] of cases) {
      await expectRefusal(() => select(schema, mode), 'adapter.factor-missing', part);
    }
  });

  it('may be factors B alone in frozen-a mode: the average of such a round', () => {
    expect(select([b('q'), b('v')], 'frozen-a')).to.deep.equal({ sent: [b('q'), b('v')], frozen: [] });
  });

  it('cannot be none', async () => {
    await expectRefusal(() => select([], 'average'), 'adapter.nothing-to-send');
  });
});

describe('the digest of frozen tensors', () => {
  const first: TensorToWrite = {
    name: 'a.lora_A.weight',
    dtype: 'F32',
    shape: [1, 2],
    data: Float32Array.of(1.5, -2),
  };
  const second: TensorToWrite = {
    name: 'b.lora_A.weight',
    dtype: 'F16',
    shape: [3, 1],
    data: Float32Array.of(0, 0.25, 7),
  };

  async function withReader<T>(
    tensors: readonly TensorToWrite[],
    use: (reader: SafetensorsReader) => Promise<T>,
  ): Promise<T> {
    return withDirectory(async (directory) => {
      const path = join(directory, 'adapter_model.safetensors');
      await writeSafetensors(path, tensors, {});
      const reader = await openSafetensors(path);
      try {
        return await use(reader);
      } finally {
        await reader.close();
      }
    });
  }

  const digestOf = (...tensors: TensorToWrite[]) =>
    withReader(tensors, async (reader) =>
      Buffer.from(await frozenDigest(reader, adapterSchema(reader))).toString('hex'),
    );

  it('is a SHA-256 over label, schema fingerprint and values', async () => {
    const u32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
    const u64 = (value: number) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
    const text = (value: string) => [u32(value.length), Buffer.from(value)];
    const schema = createHash('sha256').update(
      Buffer.concat([
        Buffer.from('tensorguard-native v1 adapter schema\0'),
        u32(2),
        ...[...text('a.lora_A.weight'), ...text('F32'), u32(2), u64(1), u64(2)],
        ...[...text('b.lora_A.weight'), ...text('F16'), u32(2), u64(3), u64(1)],
      ]),
    );
    const expected = createHash('sha256')
      .update('tensorguard-native v1 frozen tensors\0')
      .update(schema.digest())
      .update(Buffer.from('0000c03f000000c0' + '000000000000803e0000e040', 'hex'))
      .digest('hex');
    expect(await digestOf(first, second)).to.equal(expected);
  });

  it('does not depend on the order in which the tensors are named', async () => {
    await withReader([first, second], async (reader) => {
      const schema = adapterSchema(reader);
      const reversed = [...schema].reverse();
      expect(await frozenDigest(reader, reversed)).to.deep.equal(await frozenDigest(reader, schema));
    });
  });

  it('changes with a value, a sign of zero, a name, a shape, an element type and a missing tensor', async () => {
    const digests = [
      await digestOf(first, second),
      await digestOf({ ...first, data: Float32Array.of(1.5000001, -2) }, second),
      await digestOf(first, { ...second, data: Float32Array.of(-0, 0.25, 7) }),
      await digestOf({ ...first, name: 'aa.lora_A.weight' }, second),
      await digestOf({ ...first, shape: [2, 1] }, second),
      await digestOf(first, { ...second, dtype: 'F32' }),
      await digestOf(first),
      await withReader([first], async (reader) =>
        Buffer.from(await frozenDigest(reader, [])).toString('hex'),
      ),
    ];
    expect(new Set(digests).size).to.equal(digests.length);
  });

  it('is not given for a tensor that the adapter holds in another form', async () => {
    await withReader([first], async (reader) => {
      for (const other of [
        { ...first, dtype: 'F16' as const },
        { ...first, shape: [2, 1] },
        { ...first, shape: [2] },
      ]) {
        await expectRefusal(() => frozenDigest(reader, [other]), 'adapter.frozen-mismatch', first.name);
      }
    });
  });
});
