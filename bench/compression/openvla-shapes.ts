/**
 * The adapter of OpenVLA-7B's own fine-tuning script: rank 32 on every linear layer, the output layer and the two patch
 * convolutions included. PEFT reports 110,828,288 trainable parameters for it; they are 878 tensors.
 *
 * Source: openvla/openvla, `vla-scripts/finetune.py` (`target_modules="all-linear"`, `lora_rank=32`). Sizes: Llama 2 7B;
 * DINOv2 ViT-L/14 and SigLIP So400m/14 as in timm.
 */
import type { TensorShape } from '../../lib/adapter/smolvla.js';

export const OPENVLA_RANK = 32;
const LLAMA_LAYERS = 32;
const LLAMA_HIDDEN = 4096;
const LLAMA_MLP = 11_008;
/** 32,000 tokens, padded to a multiple of 64 with OpenVLA's own. */
const LLAMA_VOCABULARY = 32_064;
/** Three colours of 14 x 14 pixels. */
const PATCH_INPUTS = 3 * 14 * 14;

interface VisionTower {
  readonly prefix: string;
  readonly blocks: number;
  readonly width: number;
  readonly mlp: number;
}

const DINO: VisionTower = { prefix: 'vision_backbone.featurizer', blocks: 24, width: 1024, mlp: 4096 };
const SIGLIP: VisionTower = {
  prefix: 'vision_backbone.fused_featurizer',
  blocks: 27,
  width: 1152,
  mlp: 4304,
};

type Linear = readonly [module: string, inputs: number, outputs: number];

function visionLinears({ prefix, blocks, width, mlp }: VisionTower): Linear[] {
  return [
    [`${prefix}.patch_embed.proj`, PATCH_INPUTS, width],
    ...Array.from({ length: blocks }, (_, i): Linear[] => {
      const block = `${prefix}.blocks.${i}`;
      return [
        [`${block}.attn.qkv`, width, 3 * width],
        [`${block}.attn.proj`, width, width],
        [`${block}.mlp.fc1`, width, mlp],
        [`${block}.mlp.fc2`, mlp, width],
      ];
    }).flat(),
  ];
}

/** SigLIP pools its patches by attention. */
function poolLinears({ prefix, width, mlp }: VisionTower): Linear[] {
  const pool = `${prefix}.attn_pool`;
  return [
    [`${pool}.q`, width, width],
    [`${pool}.kv`, width, 2 * width],
    [`${pool}.proj`, width, width],
    [`${pool}.mlp.fc1`, width, mlp],
    [`${pool}.mlp.fc2`, mlp, width],
  ];
}

function projectorLinears(): Linear[] {
  const vision = DINO.width + SIGLIP.width;
  return [
    ['projector.fc1', vision, 4 * vision],
    ['projector.fc2', 4 * vision, LLAMA_HIDDEN],
    ['projector.fc3', LLAMA_HIDDEN, LLAMA_HIDDEN],
  ];
}

function languageLinears(): Linear[] {
  const layers = Array.from({ length: LLAMA_LAYERS }, (_, i): Linear[] => {
    const layer = `language_model.model.layers.${i}`;
    return [
      ...['q_proj', 'k_proj', 'v_proj', 'o_proj'].map(
        (name): Linear => [`${layer}.self_attn.${name}`, LLAMA_HIDDEN, LLAMA_HIDDEN],
      ),
      [`${layer}.mlp.gate_proj`, LLAMA_HIDDEN, LLAMA_MLP],
      [`${layer}.mlp.up_proj`, LLAMA_HIDDEN, LLAMA_MLP],
      [`${layer}.mlp.down_proj`, LLAMA_MLP, LLAMA_HIDDEN],
    ];
  });
  return [...layers.flat(), ['language_model.lm_head', LLAMA_HIDDEN, LLAMA_VOCABULARY]];
}

/** A [r, in] and B [out, r] of every adapted layer: 110,828,288 parameters at rank 32. */
export function openVlaShapes(rank: number = OPENVLA_RANK): TensorShape[] {
  const linears = [
    ...visionLinears(DINO),
    ...visionLinears(SIGLIP),
    ...poolLinears(SIGLIP),
    ...projectorLinears(),
    ...languageLinears(),
  ];
  return linears.flatMap(([module, inputs, outputs]) => [
    { name: `base_model.model.${module}.lora_A.weight`, shape: [rank, inputs] },
    { name: `base_model.model.${module}.lora_B.weight`, shape: [outputs, rank] },
  ]);
}
