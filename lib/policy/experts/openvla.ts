/** OpenVLA: DINOv2 and SigLIP, fused, a projector, and Llama 2 that writes actions as its last tokens. */
import { DEFAULT_EXPERT_WEIGHTS, type ExpertSet } from './expert-set.js';

/**
 * OpenVLA 7B as Hugging Face Transformers loads it, and as `vla-scripts/finetune.py` adapts it
 * (`target_modules="all-linear"`, which takes `lm_head` in).
 *
 * Actions are bins in the tail of the vocabulary, so the only module that is about actions alone is the
 * layer that scores the vocabulary.
 */
export const OPENVLA_HUGGING_FACE: ExpertSet = {
  policyFamily: 'openvla',
  naming: 'huggingface',
  source: 'openvla/openvla: prismatic/extern/hf/modeling_prismatic.py, vla-scripts/finetune.py',
  experts: [
    {
      name: 'vision',
      modules: ['vision_backbone.featurizer.**', 'vision_backbone.fused_featurizer.**', 'projector.*'],
      weight: DEFAULT_EXPERT_WEIGHTS.vision,
    },
    {
      name: 'language',
      modules: ['language_model.model.**'],
      weight: DEFAULT_EXPERT_WEIGHTS.language,
    },
    { name: 'action', modules: ['language_model.lm_head'], weight: DEFAULT_EXPERT_WEIGHTS.action },
  ],
};
