/** SmolVLA: SmolVLM2 and an action expert that attends to its layers. */
import { DEFAULT_EXPERT_WEIGHTS, type ExpertSet } from './expert-set.js';

export const SMOLVLA_LEROBOT: ExpertSet = {
  policyFamily: 'smolvla',
  naming: 'lerobot',
  source:
    'huggingface/lerobot: src/lerobot/policies/smolvla/modeling_smolvla.py, src/lerobot/policies/smolvla/smolvlm_with_expert.py',
  experts: [
    {
      name: 'vision',
      modules: [
        'model.vlm_with_expert.vlm.model.vision_model.**',
        'model.vlm_with_expert.vlm.model.connector.**',
      ],
      weight: DEFAULT_EXPERT_WEIGHTS.vision,
    },
    {
      name: 'language',
      modules: ['model.vlm_with_expert.vlm.model.text_model.**', 'model.vlm_with_expert.vlm.lm_head'],
      weight: DEFAULT_EXPERT_WEIGHTS.language,
    },
    {
      name: 'action',
      modules: [
        'model.vlm_with_expert.lm_expert.**',
        'model.state_proj',
        'model.action_in_proj',
        'model.action_out_proj',
        'model.action_time_mlp_in',
        'model.action_time_mlp_out',
      ],
      weight: DEFAULT_EXPERT_WEIGHTS.action,
    },
  ],
};
