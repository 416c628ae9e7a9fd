/** A plan for an adapter of OpenVLA 7B: two hundred times more parameters than an update of 5 MB has bits for. */
import { mkdir, open, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { TensorShape } from '../../lib/adapter/smolvla.js';
import { planRound } from '../../lib/round/plan-round.js';
import { forCustody, testPolicy } from '../round/support/policies.js';
import { PLANNING, TestRound } from '../round/support/round.js';
import { expectRefusal } from '../support/refusals.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const RANK = 32;
/** What PEFT's `print_trainable_parameters` says of OpenVLA 7B under `all-linear` at rank 32. */
const PARAMETERS = 110_828_288;

/** A layer's two factors; `patch`: of a convolution, whose kernel is in A. */
function factors(module: string, inputs: number, outputs: number, patch?: number): TensorShape[] {
  const kernel = patch === undefined ? [] : [patch, patch];
  const point = patch === undefined ? [] : [1, 1];
  return [
    { name: `base_model.model.${module}.lora_A.weight`, shape: [RANK, inputs, ...kernel] },
    { name: `base_model.model.${module}.lora_B.weight`, shape: [outputs, RANK, ...point] },
  ];
}

function transformer(path: string, blocks: number, width: number, hidden: number): TensorShape[] {
  return Array.from({ length: blocks }, (_, i) => [
    ...factors(`${path}.blocks.${i}.attn.qkv`, width, 3 * width),
    ...factors(`${path}.blocks.${i}.attn.proj`, width, width),
    ...factors(`${path}.blocks.${i}.mlp.fc1`, width, hidden),
    ...factors(`${path}.blocks.${i}.mlp.fc2`, hidden, width),
  ]).flat();
}

/** Llama 2 7B, DINOv2 ViT-L/14, SigLIP So400m/14 with its attention pool, the projector, the patch embeddings, `lm_head`. */
function openVlaShapes(): TensorShape[] {
  const llama = Array.from({ length: 32 }, (_, i) => {
    const layer = `language_model.model.layers.${i}`;
    return [
      ...['q_proj', 'k_proj', 'v_proj', 'o_proj'].flatMap((name) =>
        factors(`${layer}.self_attn.${name}`, 4096, 4096),
      ),
      ...factors(`${layer}.mlp.gate_proj`, 4096, 11_008),
      ...factors(`${layer}.mlp.up_proj`, 4096, 11_008),
      ...factors(`${layer}.mlp.down_proj`, 11_008, 4096),
    ];
  }).flat();
  const [dino, siglip] = ['vision_backbone.featurizer', 'vision_backbone.fused_featurizer'] as const;
  return [
    ...llama,
    ...factors('language_model.lm_head', 4096, 32_064),
    ...transformer(dino, 24, 1024, 4096),
    ...factors(`${dino}.patch_embed.proj`, 3, 1024, 14),
    ...transformer(siglip, 27, 1152, 4304),
    ...factors(`${siglip}.patch_embed.proj`, 3, 1152, 14),
    ...factors(`${siglip}.attn_pool.q`, 1152, 1152),
    ...factors(`${siglip}.attn_pool.kv`, 1152, 2304),
    ...factors(`${siglip}.attn_pool.proj`, 1152, 1152),
    ...factors(`${siglip}.attn_pool.mlp.fc1`, 1152, 4304),
    ...factors(`${siglip}.attn_pool.mlp.fc2`, 4304, 1152),
    ...factors('projector.fc1', 2176, 8704),
    ...factors('projector.fc2', 8704, 4096),
    ...factors('projector.fc3', 4096, 4096),
  ];
}

const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/**
 * An adapter of which the disk holds next to nothing: a hole with one value a tensor, as large as gives the tensor the
 * energy of values of this standard deviation. With a rotation a plan looks at no more than that.
 */
async function writeHollowAdapter(directory: string, standardDeviation: number): Promise<void> {
  await mkdir(directory, { recursive: true });
  const header: Record<string, unknown> = {};
  const places: { at: number; value: number }[] = [];
  let at = 0;
  for (const { name, shape } of [...openVlaShapes()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const bytes = 2 * count(shape);
    header[name] = { dtype: 'BF16', shape, data_offsets: [at, at + bytes] };
    places.push({ at, value: standardDeviation * Math.sqrt(count(shape)) });
    at += bytes;
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const path = join(directory, 'adapter_model.safetensors');
  await writeFile(path, Buffer.concat([length, padded]));
  await truncate(path, 8 + padded.length + at);
  const file = await open(path, 'r+');
  const float = Buffer.alloc(4);
  for (const place of places) {
    float.writeFloatLE(place.value);
    await file.write(float.subarray(2), 0, 2, 8 + padded.length + place.at);
  }
  await file.close();
  const config = { peft_type: 'LORA', r: RANK, lora_alpha: 16, target_modules: 'all-linear' };
  await writeFile(join(directory, 'adapter_config.json'), JSON.stringify(config));
}

describe('a plan for the adapter of OpenVLA 7B', function () {
  this.timeout(120_000);

  it('is that of all linear layers, patch embeddings and lm_head included', () => {
    expect(openVlaShapes().reduce((sum, { shape }) => sum + count(shape), 0)).to.equal(PARAMETERS);
  });

  it('keeps as much as fits 5 MB, and says what error that leaves', async () => {
    const directory = await temporaryDirectory();
    const like = join(directory, 'openvla');
    await writeHollowAdapter(like, 0.02);
    const { roster } = await TestRound.start(directory, {
      rules: { parameterSets: ['lwe-128', 'lwe-192'], maxUpdateBytes: 5_000_000 },
    });
    const training = { bits: 4, keepRatio: 'auto', rotation: true };
    const policyWith = (envelope: object) =>
      forCustody(testPolicy({ training, envelope: { targetUpdateBytes: 5_000_000, ...envelope } }), 2, 3);
    const options = { ...PLANNING, roster, like, maxClients: 16, parameterSet: 'lwe-192' } as const;
    await expectRefusal('policy.trainable-parameters', () =>
      planRound({ ...options, policy: policyWith({}) }),
    );
    const policy = policyWith({ maxTrainableParameters: 200_000_000 });
    const { body, arithmetic, expected } = await planRound({ ...options, policy });
    const parameters = body.tensors.reduce((sum, { shape }) => sum + count(shape), 0);
    expect(parameters).to.equal(PARAMETERS);
    const ratio = arithmetic.valueCount / parameters;
    console.log(
      `      ${arithmetic.valueCount} of ${parameters} values (${(100 * ratio).toFixed(2)} %), ${arithmetic.ciphertextBytes} bytes; ` +
        `error of one round ${expected.relativeError.toFixed(3)}, arrives after ${expected.steadyState.roundsToArrive.toFixed(0)} rounds`,
    );
    expect(arithmetic.ciphertextBytes).to.be.within(4_850_000, 5_000_000);
    // 1.31 bytes a value: 5 MB hold 3.8 million of them.
    expect(ratio).to.be.within(0.03, 0.04);
    // One round sends that share of the energy, all of which was predicted to be alike.
    expect(expected.unsentFraction).to.be.closeTo(1 - ratio, 0.01);
    expect(expected.relativeError).to.be.within(Math.sqrt(1 - ratio) - 0.01, 1.05);
    expect(expected.steadyState.roundsToArrive).to.be.within(0.8 / ratio, 1.5 / ratio);
    expect(expected.clipStarves).to.equal(false);
  });
});
