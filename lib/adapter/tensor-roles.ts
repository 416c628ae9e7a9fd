/**
 * What each tensor of a PEFT adapter is, told from its name.
 *
 * PEFT saves the factors of a module as `base_model.model.MODULE.lora_A.weight` and `.lora_B.weight`,
 * those of an embedding as `.lora_embedding_A` and `.lora_embedding_B` (huggingface/peft,
 * `utils/save_and_load.py`: the adapter's own name is cut out on saving).
 */
import { FormatError } from '../errors.js';
import { quoteName } from './json-cursor.js';
import type { TensorInfo } from './tensor-info.js';

/**
 * - `lora-a`: the factor next to the input, [r, in] (convolutions: [r, in, ...kernel]);
 * - `lora-b`: the factor next to the output, [out, r];
 * - `full`: whatever else rides along: a classifier head (`modules_to_save`), an `lm_head`, a bias,
 *   DoRA's magnitudes. It is sealed only where the envelope lists its module.
 */
export type TensorKind = 'lora-a' | 'lora-b' | 'full';

export interface TensorRole {
  readonly kind: TensorKind;
  /** The module in the base model's own naming, as `target_modules` and expert patterns see it. */
  readonly module: string;
}

const PEFT_PREFIX = 'base_model.model.';
const FACTOR = /^(?<module>.+)\.lora_(?:(?<linear>[AB])\.weight|embedding_(?<embedding>[AB]))$/s;
const PARAMETER = /\.(?:weight|bias)$/;

/** Classifies a tensor by its name. Every name has a role. */
export function classifyTensor(name: string): TensorRole {
  const inModel = name.startsWith(PEFT_PREFIX) ? name.slice(PEFT_PREFIX.length) : name;
  const groups = FACTOR.exec(inModel)?.groups;
  const factor = groups?.['linear'] ?? groups?.['embedding'];
  if (groups?.['module'] !== undefined && factor !== undefined) {
    return { kind: factor === 'A' ? 'lora-a' : 'lora-b', module: groups['module'] };
  }
  return { kind: 'full', module: inModel.replace(PARAMETER, '') };
}

/**
 * Checks that an adapter has LoRA factors at all, and that the two of each module have the same rank.
 * One factor without the other is accepted: the average of a `frozen-a` round holds B only.
 *
 * @throws FormatError `adapter.no-lora-tensors`, `adapter.factor-shape`, `adapter.rank-mismatch`
 */
export function checkLoraFactors(tensors: readonly TensorInfo[]): void {
  const ranks = new Map<string, number>();
  for (const { name, shape } of tensors) {
    const { kind, module } = classifyTensor(name);
    if (kind === 'full') continue;
    const rank = kind === 'lora-a' ? shape[0] : shape[1];
    if (rank === undefined || shape.length < 2) {
      throw new FormatError(
        'adapter.factor-shape',
        `Tensor ${quoteName(name)} of shape [${shape.join(', ')}] is no LoRA factor: a factor has two dimensions or more.`,
      );
    }
    const other = ranks.get(module);
    if (other !== undefined && other !== rank) {
      throw new FormatError(
        'adapter.rank-mismatch',
        `The LoRA factors of ${quoteName(module)} do not multiply: one has rank ${other}, the other ${rank}.`,
      );
    }
    ranks.set(module, rank);
  }
  if (ranks.size === 0) {
    throw new FormatError(
      'adapter.no-lora-tensors',
      "The adapter has no tensor called ...lora_A.weight or ...lora_B.weight. Save it with PEFT's save_pretrained.",
    );
  }
}
