/** pi0 and pi0.5: PaliGemma (SigLIP, Gemma) and a smaller Gemma that turns noise into actions. */
import { DEFAULT_EXPERT_WEIGHTS, type ExpertSet } from './expert-set.js';

/** The layers between robot and action expert; pi0.5 has no state_proj, and calls its time_mlp differently. */
const PROJECTIONS = [
  'state_proj',
  'action_in_proj',
  'action_out_proj',
  'action_time_mlp_in',
  'action_time_mlp_out',
  'time_mlp_in',
  'time_mlp_out',
];

/** The PyTorch model, below `prefix`: openpi's port, and what LeRobot wraps. */
function torchExperts(prefix: string, paligemma: readonly string[], projections: readonly string[]) {
  const withExpert = `${prefix}paligemma_with_expert`;
  const under = (path: string) => paligemma.map((model) => `${withExpert}.${model}.${path}`);
  return [
    {
      name: 'vision',
      modules: [...under('vision_tower.**'), ...under('multi_modal_projector.**')],
      weight: DEFAULT_EXPERT_WEIGHTS.vision,
    },
    {
      name: 'language',
      modules: [...under('language_model.**'), `${withExpert}.paligemma.lm_head`],
      weight: DEFAULT_EXPERT_WEIGHTS.language,
    },
    {
      name: 'action',
      modules: [`${withExpert}.gemma_expert.**`, ...projections.map((name) => `${prefix}${name}`)],
      weight: DEFAULT_EXPERT_WEIGHTS.action,
    },
  ];
}

/**
 * LeRobot's pi0 and pi0.5. PaliGemma's parts once had no `model` above them; LeRobot 0.3 still renames such
 * checkpoints, and adapters of that time are told by their names as well.
 */
export const PI0_LEROBOT: ExpertSet = {
  policyFamily: 'pi0',
  naming: 'lerobot',
  source:
    'huggingface/lerobot: src/lerobot/policies/pi0/modeling_pi0.py, src/lerobot/policies/pi05/modeling_pi05.py, src/lerobot/policies/pi_gemma.py; at v0.3.3, src/lerobot/policies/pi0/modeling_pi0.py',
  experts: torchExperts('model.', ['paligemma.model', 'paligemma'], [...PROJECTIONS, 'proprio_history_proj']),
};

/** openpi's PyTorch port. */
export const PI0_OPENPI_TORCH: ExpertSet = {
  policyFamily: 'pi0',
  naming: 'openpi-pytorch',
  source:
    'Physical-Intelligence/openpi: src/openpi/models_pytorch/pi0_pytorch.py, src/openpi/models_pytorch/gemma_pytorch.py, examples/convert_jax_model_to_pytorch.py',
  experts: torchExperts('', ['paligemma.model'], PROJECTIONS),
};

/**
 * openpi's JAX model: NNX paths joined by dots. Both Gemmas are one module whose second set of weights, the
 * action expert, has the suffix `_1`; the layers are scanned, so that they have no numbers. Where both sets
 * match, the action expert's patterns must come first.
 */
export const PI0_OPENPI_JAX: ExpertSet = {
  policyFamily: 'pi0',
  naming: 'openpi-jax',
  source:
    'Physical-Intelligence/openpi: src/openpi/models/pi0.py, src/openpi/models/gemma.py, src/openpi/models/lora.py, src/openpi/models/siglip.py',
  experts: [
    { name: 'vision', modules: ['PaliGemma.img.**'], weight: DEFAULT_EXPERT_WEIGHTS.vision },
    {
      name: 'action',
      modules: [
        ...['layers.attn.*_1', 'layers.*_1', 'final_norm_1'].flatMap((path) => [
          `PaliGemma.llm.${path}`,
          `PaliGemma.llm.${path}.**`,
        ]),
        ...PROJECTIONS,
      ],
      weight: DEFAULT_EXPERT_WEIGHTS.action,
    },
    { name: 'language', modules: ['PaliGemma.llm.**'], weight: DEFAULT_EXPERT_WEIGHTS.language },
  ],
};
