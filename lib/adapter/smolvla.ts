/**
 * The LoRA adapter that LeRobot trains on SmolVLA by default: its tensors and its configuration.
 *
 * Sources (huggingface/lerobot): `policies/smolvla/modeling_smolvla.py`, `smolvlm_with_expert.py` and
 * `configuration_smolvla.py` for modules and sizes, `_get_default_peft_targets` for what is adapted,
 * `configs/default.py` for the rank of 16; SmolVLM2-500M-Video-Instruct's `text_config` for the rest.
 */
import type { AdapterConfig } from './peft-config.js';

/** The VLM's text model: 15 heads of 64, of which 5 carry keys and values; its first 16 layers are used. */
const VLM_HIDDEN = 960;
const KEY_VALUE_WIDTH = 5 * 64;
const QUERY_WIDTH = 15 * 64;
const LAYERS = 16;

/** The action expert has 0.75 of the VLM's width and as many layers. */
const EXPERT_HIDDEN = 720;

/** Robots' states and actions are padded to this. */
const STATE_WIDTH = 32;
const ACTION_WIDTH = 32;

/** What LeRobot's `--peft.r` is unless told. */
export const SMOLVLA_DEFAULT_RANK = 16;

export interface TensorShape {
  readonly name: string;
  readonly shape: readonly number[];
}

interface AdaptedLinear {
  readonly module: string;
  readonly inputs: number;
  readonly outputs: number;
}

function adaptedModules(): AdaptedLinear[] {
  const modules: AdaptedLinear[] = [];
  for (let layer = 0; layer < LAYERS; layer++) {
    const attention = `model.vlm_with_expert.lm_expert.layers.${layer}.self_attn`;
    modules.push({ module: `${attention}.q_proj`, inputs: EXPERT_HIDDEN, outputs: QUERY_WIDTH });
    // Even layers attend to the expert's own tokens; odd ones take values that the VLM has projected.
    const inputs = layer % 2 === 0 ? EXPERT_HIDDEN : KEY_VALUE_WIDTH;
    modules.push({ module: `${attention}.v_proj`, inputs, outputs: KEY_VALUE_WIDTH });
  }
  modules.push(
    { module: 'model.state_proj', inputs: STATE_WIDTH, outputs: VLM_HIDDEN },
    { module: 'model.action_in_proj', inputs: ACTION_WIDTH, outputs: EXPERT_HIDDEN },
    { module: 'model.action_out_proj', inputs: EXPERT_HIDDEN, outputs: ACTION_WIDTH },
    { module: 'model.action_time_mlp_in', inputs: 2 * EXPERT_HIDDEN, outputs: EXPERT_HIDDEN },
    { module: 'model.action_time_mlp_out', inputs: EXPERT_HIDDEN, outputs: EXPERT_HIDDEN },
  );
  return modules;
}

/**
 * The adapter's 74 tensors: A [r, in] and B [out, r] of 37 linear layers, r * (in + out) parameters each.
 * At r = 16 these are **742,656**:
 *
 * | layers | in | out | number | parameters |
 * | --- | --- | --- | --- | --- |
 * | expert `q_proj` | 720 | 960 | 16 | 430,080 |
 * | expert `v_proj`, even layers | 720 | 320 | 8 | 133,120 |
 * | expert `v_proj`, odd layers | 320 | 320 | 8 | 81,920 |
 * | `state_proj` | 32 | 960 | 1 | 15,872 |
 * | `action_in_proj` | 32 | 720 | 1 | 12,032 |
 * | `action_out_proj` | 720 | 32 | 1 | 12,032 |
 * | `action_time_mlp_in` | 1440 | 720 | 1 | 34,560 |
 * | `action_time_mlp_out` | 720 | 720 | 1 | 23,040 |
 */
export function smolVlaShapes(rank: number = SMOLVLA_DEFAULT_RANK): TensorShape[] {
  return adaptedModules().flatMap(({ module, inputs, outputs }) => [
    { name: `base_model.model.${module}.lora_A.weight`, shape: [rank, inputs] },
    { name: `base_model.model.${module}.lora_B.weight`, shape: [outputs, rank] },
  ]);
}

/** The `adapter_config.json` that goes with {@link smolVlaShapes}: LeRobot's targets, PEFT's defaults. */
export function smolVlaConfig(rank: number = SMOLVLA_DEFAULT_RANK): AdapterConfig {
  return {
    alpha_pattern: {},
    auto_mapping: null,
    base_model_name_or_path: 'lerobot/smolvla_base',
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: 8,
    lora_dropout: 0,
    modules_to_save: [],
    peft_type: 'LORA',
    r: rank,
    rank_pattern: {},
    revision: null,
    target_modules:
      '(model\\.vlm_with_expert\\.lm_expert\\..*\\.(q|v)_proj|model\\.(state_proj|action_in_proj|action_out_proj|action_time_mlp_in|action_time_mlp_out))',
    task_type: null,
    use_dora: false,
    use_rslora: false,
  };
}
