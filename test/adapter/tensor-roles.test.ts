import { expect } from 'chai';
import type { TensorInfo } from '../../lib/adapter/tensor-info.js';
import { checkLoraFactors, classifyTensor } from '../../lib/adapter/tensor-roles.js';
import { expectRefusal } from './refusals.js';

const info = (name: string, ...shape: number[]): TensorInfo => ({
  name,
  dtype: 'F32',
  shape,
  elementCount: shape.reduce((a, b) => a * b, 1),
});

describe("a tensor's role", () => {
  const roles: [string, string, string][] = [
    ['base_model.model.a.q_proj.lora_A.weight', 'lora-a', 'a.q_proj'],
    ['base_model.model.a.q_proj.lora_B.weight', 'lora-b', 'a.q_proj'],
    ['base_model.model.model.embed_tokens.lora_embedding_A', 'lora-a', 'model.embed_tokens'],
    ['base_model.model.model.embed_tokens.lora_embedding_B', 'lora-b', 'model.embed_tokens'],
    ['a.lora_A.weight', 'lora-a', 'a'],
    ['base_model.model.classifier.weight', 'full', 'classifier'],
    ['base_model.model.classifier.bias', 'full', 'classifier'],
    ['base_model.model.a.q_proj.lora_B.bias', 'full', 'a.q_proj.lora_B'],
    ['base_model.model.a.q_proj.lora_magnitude_vector', 'full', 'a.q_proj.lora_magnitude_vector'],
    ['base_model.model.a.lora_embedding_A.weight', 'full', 'a.lora_embedding_A'],
    ['base_model.model.a.lora_C.weight', 'full', 'a.lora_C'],
    ['base_model.model.a.lora_Axweight', 'full', 'a.lora_Axweight'],
    ['base_model.model.lora_A.weight', 'full', 'lora_A'],
    ['', 'full', ''],
  ];
  for (const [name, kind, module] of roles) {
    it(`is ${kind} of ${JSON.stringify(module)} for ${JSON.stringify(name)}`, () => {
      expect(classifyTensor(name)).to.deep.equal({ kind, module });
    });
  }
});

describe('the check of LoRA factors', () => {
  it('accepts linear, convolution and embedding factors whose ranks agree, and full layers of any shape', () => {
    checkLoraFactors([
      info('l.lora_A.weight', 8, 720),
      info('l.lora_B.weight', 960, 8),
      info('c.lora_A.weight', 4, 3, 3, 3),
      info('c.lora_B.weight', 16, 4, 1, 1),
      info('e.lora_embedding_A', 2, 1000),
      info('e.lora_embedding_B', 64, 2),
      info('head.bias', 2),
    ]);
  });

  it('accepts one factor alone, as a frozen-a average has it', () => {
    checkLoraFactors([info('l.lora_B.weight', 960, 8)]);
  });

  it('refuses factors that do not multiply, a factor of one dimension, and an adapter without factors', async () => {
    const mismatch = [info('m.lora_A.weight', 8, 720), info('m.lora_B.weight', 960, 4)];
    await expectRefusal(() => checkLoraFactors(mismatch), 'adapter.rank-mismatch', '"m"', '8', '4');
    await expectRefusal(() => checkLoraFactors([info('m.lora_A.weight', 8)]), 'adapter.factor-shape', '[8]');
    await expectRefusal(() => checkLoraFactors([info('head.weight', 8, 8)]), 'adapter.no-lora-tensors');
    await expectRefusal(() => checkLoraFactors([]), 'adapter.no-lora-tensors');
  });
});
