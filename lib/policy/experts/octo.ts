/** Octo: convolutional stems and a language encoder in front of one transformer, action heads behind it. */
import { DEFAULT_EXPERT_WEIGHTS, type ExpertSet } from './expert-set.js';

/**
 * Octo's parameter paths joined by dots, the form that its own `freeze_weights` matches. Flax calls the
 * members of a dictionary of modules ATTRIBUTE_KEY, so that `heads["action"]` is `heads_action`.
 *
 * The transformer is shared by all tokens. It stands with language, as the language model's layers do in the
 * other policies, where image tokens pass through them as well. Proprioception comes in through an
 * observation tokenizer, and stands with action, as `state_proj` does in the other policies: hence the order.
 */
export const OCTO_FLAX: ExpertSet = {
  policyFamily: 'octo',
  naming: 'flax',
  source:
    'octo-models/octo: octo/model/octo_module.py, octo/model/components/action_heads.py, octo/utils/train_utils.py, scripts/configs/octo_pretrain_config.py, scripts/configs/finetune_config.py, examples/02_finetune_new_observation_action.py',
  experts: [
    {
      name: 'action',
      modules: ['heads_*.**', 'octo_transformer.readout_*', 'octo_transformer.obs_proprio_*'],
      weight: DEFAULT_EXPERT_WEIGHTS.action,
    },
    {
      name: 'vision',
      modules: ['octo_transformer.observation_tokenizers_*.**', 'octo_transformer.obs_*'],
      weight: DEFAULT_EXPERT_WEIGHTS.vision,
    },
    {
      name: 'language',
      modules: [
        'octo_transformer.task_tokenizers_*.**',
        'octo_transformer.task_*',
        'octo_transformer.BlockTransformer_0.**',
      ],
      weight: DEFAULT_EXPERT_WEIGHTS.language,
    },
  ],
};
