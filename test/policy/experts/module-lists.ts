/**
 * Which modules LoRA adapts in each policy, written out from the models' definitions and the trainers'
 * defaults, independently of the patterns that are to sort them.
 */
import { smolVlaShapes } from '../../../lib/adapter/smolvla.js';
import { classifyTensor } from '../../../lib/adapter/tensor-roles.js';

const numbered = (count: number, names: (index: number) => readonly string[]) =>
  Array.from({ length: count }, (_, index) => names(index)).flat();

const within = (module: string, names: readonly string[]) => names.map((name) => `${module}.${name}`);

const visionBlock = ['attn.qkv', 'attn.proj', 'mlp.fc1', 'mlp.fc2'];
const gatedLayer = [
  ...within('self_attn', ['q_proj', 'k_proj', 'v_proj', 'o_proj']),
  ...within('mlp', ['gate_proj', 'up_proj', 'down_proj']),
];
const siglipLayer = [
  ...within('self_attn', ['k_proj', 'v_proj', 'q_proj', 'out_proj']),
  'mlp.fc1',
  'mlp.fc2',
];

/**
 * OpenVLA 7B with `target_modules="all-linear"`: DINOv2 ViT-L/14 (24 blocks), SigLIP So400m/14 (27 blocks
 * and attention pooling), the projector, Llama 2 7B (32 layers) with its head. 439 modules, which at rank 32
 * have the 110,828,288 parameters that the trainer prints.
 */
export const openVla = {
  vision: [
    'vision_backbone.featurizer.patch_embed.proj',
    ...numbered(24, (block) => within(`vision_backbone.featurizer.blocks.${block}`, visionBlock)),
    'vision_backbone.fused_featurizer.patch_embed.proj',
    ...numbered(27, (block) => within(`vision_backbone.fused_featurizer.blocks.${block}`, visionBlock)),
    ...within('vision_backbone.fused_featurizer.attn_pool', ['q', 'kv', 'proj', 'mlp.fc1', 'mlp.fc2']),
    ...within('projector', ['fc1', 'fc2', 'fc3']),
  ],
  language: numbered(32, (layer) => within(`language_model.model.layers.${layer}`, gatedLayer)),
  action: ['language_model.lm_head'],
};

const projections = [
  'state_proj',
  'action_in_proj',
  'action_out_proj',
  'action_time_mlp_in',
  'action_time_mlp_out',
];

function pi0(prefix: string) {
  const model = `${prefix}paligemma_with_expert`;
  return {
    vision: [
      ...numbered(27, (layer) =>
        within(`${model}.paligemma.model.vision_tower.vision_model.encoder.layers.${layer}`, siglipLayer),
      ),
      `${model}.paligemma.model.multi_modal_projector.linear`,
    ],
    language: [
      ...numbered(18, (layer) =>
        within(`${model}.paligemma.model.language_model.layers.${layer}`, gatedLayer),
      ),
      `${model}.paligemma.lm_head`,
    ],
    action: [
      ...numbered(18, (layer) => within(`${model}.gemma_expert.model.layers.${layer}`, gatedLayer)),
      ...projections.map((name) => `${prefix}${name}`),
    ],
  };
}

/** All linear layers of pi0 in LeRobot. */
export const pi0LeRobot = pi0('model.');

/** All linear layers of pi0 in openpi's PyTorch port. */
export const pi0OpenpiTorch = pi0('');

/** What LeRobot adapts in pi0 unless told: the action expert's q and v, and the projections. */
export const pi0LeRobotDefault = [
  ...numbered(18, (layer) =>
    within(`model.paligemma_with_expert.gemma_expert.model.layers.${layer}.self_attn`, ['q_proj', 'v_proj']),
  ),
  ...projections.map((name) => `model.${name}`),
];

/** The same in pi0.5, whose time_mlp has another name. */
export const pi05LeRobotDefault = [
  ...pi0LeRobotDefault.filter((name) => name.includes('gemma_expert')),
  'model.action_in_proj',
  'model.action_out_proj',
  'model.time_mlp_in',
  'model.time_mlp_out',
  'model.proprio_history_proj',
];

/** openpi's JAX model: what has parameters under NNX, the layers of each stack being one. */
export const pi0OpenpiJax = {
  vision: [
    'PaliGemma.img.embedding',
    ...within('PaliGemma.img.Transformer.encoderblock', [
      'LayerNorm_0',
      'LayerNorm_1',
      'MultiHeadDotProductAttention_0.query',
      'MultiHeadDotProductAttention_0.key',
      'MultiHeadDotProductAttention_0.value',
      'MultiHeadDotProductAttention_0.out',
      'MlpBlock_0.Dense_0',
      'MlpBlock_0.Dense_1',
    ]),
    'PaliGemma.img.Transformer.encoder_norm',
    'PaliGemma.img.head',
  ],
  language: [
    'PaliGemma.llm.embedder',
    ...within('PaliGemma.llm.layers', [
      'attn.q_einsum',
      'attn.kv_einsum',
      'attn.attn_vec_einsum',
      'mlp',
      'pre_attention_norm',
      'pre_ffw_norm',
    ]),
    'PaliGemma.llm.final_norm',
    'PaliGemma.llm.layers.attn.q_einsum.lora_a',
    'PaliGemma.llm.layers.mlp.gating_einsum_lora_b',
  ],
  action: [
    ...within('PaliGemma.llm.layers', [
      'attn.q_einsum_1',
      'attn.kv_einsum_1',
      'attn.attn_vec_einsum_1',
      'mlp_1',
      'pre_attention_norm_1',
      'pre_ffw_norm_1',
      'pre_ffw_norm_1.Dense_0',
    ]),
    'PaliGemma.llm.final_norm_1',
    'PaliGemma.llm.layers.attn.kv_einsum_1.lora_b',
    'PaliGemma.llm.layers.mlp_1.linear_lora_a',
    ...projections,
    'time_mlp_in',
    'time_mlp_out',
  ],
};

/** What LeRobot adapts in SmolVLA unless told: the modules of this package's own synthetic adapter. */
export const smolVlaDefault = [...new Set(smolVlaShapes().map(({ name }) => classifyTensor(name).module))];

/** All linear layers of SmolVLA: SmolVLM2 500M's 12 vision layers and the 16 text layers that are kept. */
export const smolVla = {
  vision: [
    ...numbered(12, (layer) =>
      within(`model.vlm_with_expert.vlm.model.vision_model.encoder.layers.${layer}`, siglipLayer),
    ),
    'model.vlm_with_expert.vlm.model.connector.modality_projection.proj',
  ],
  language: [
    ...numbered(16, (layer) =>
      within(`model.vlm_with_expert.vlm.model.text_model.layers.${layer}`, gatedLayer),
    ),
    'model.vlm_with_expert.vlm.lm_head',
  ],
  action: [
    ...numbered(16, (layer) => within(`model.vlm_with_expert.lm_expert.layers.${layer}`, gatedLayer)),
    ...projections.map((name) => `model.${name}`),
  ],
};

/** Octo Base (12 layers) with a diffusion head and, as in its second example, proprioception. */
export const octo = {
  vision: [
    ...['primary', 'wrist'].flatMap((camera) => [
      ...numbered(4, (stage) =>
        within(`octo_transformer.observation_tokenizers_${camera}.SmallStem16_0`, [
          `StdConv_${stage}`,
          `GroupNorm_${stage}`,
        ]),
      ),
      `octo_transformer.observation_tokenizers_${camera}.SmallStem16_0.embedding`,
      `octo_transformer.obs_${camera}_projection`,
      `octo_transformer.obs_${camera}_pos_embedding`,
    ]),
  ],
  language: [
    ...numbered(12, (block) =>
      within(`octo_transformer.task_tokenizers_language.hf_model.encoder.block.${block}.layer`, [
        '0.SelfAttention.q',
        '0.SelfAttention.v',
        '1.DenseReluDense.wi',
      ]),
    ),
    'octo_transformer.task_language_projection',
    'octo_transformer.task_language_pos_embedding',
    ...numbered(12, (block) =>
      within(`octo_transformer.BlockTransformer_0.Transformer_0.encoderblock_${block}`, [
        'MultiHeadDotProductAttention_0.query',
        'MultiHeadDotProductAttention_0.value',
        'MlpBlock_0.Dense_0',
        'MlpBlock_0.Dense_1',
      ]),
    ),
    'octo_transformer.BlockTransformer_0.Transformer_0.encoder_norm',
  ],
  action: [
    'octo_transformer.obs_proprio_projection',
    'octo_transformer.obs_proprio_pos_embedding',
    'octo_transformer.readout_action_pos_embedding',
    ...within('heads_action.diffusion_model', [
      'time_preprocess',
      'cond_encoder.Dense_0',
      'cond_encoder.Dense_1',
      'reverse_network.Dense_0',
      'reverse_network.MLPResNetBlock_0.Dense_0',
    ]),
  ],
};
