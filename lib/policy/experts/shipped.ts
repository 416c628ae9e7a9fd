/** The expert sets that come with the package, found by the modules of an adapter. */
import { assignExperts, type ExpertSet } from './expert-set.js';
import { OCTO_FLAX } from './octo.js';
import { OPENVLA_HUGGING_FACE } from './openvla.js';
import { PI0_LEROBOT, PI0_OPENPI_JAX, PI0_OPENPI_TORCH } from './pi0.js';
import { SMOLVLA_LEROBOT } from './smolvla.js';

export const SHIPPED_EXPERT_SETS: readonly ExpertSet[] = [
  OPENVLA_HUGGING_FACE,
  PI0_LEROBOT,
  PI0_OPENPI_TORCH,
  PI0_OPENPI_JAX,
  SMOLVLA_LEROBOT,
  OCTO_FLAX,
];

/**
 * The set of `sets` that has an expert for every module, or undefined where there is none or more than one:
 * an adapter of `model.action_in_proj` alone could be of pi0 or of SmolVLA, and nobody is served by a guess.
 *
 * @param moduleNames in the base model's own naming; at least one, or nothing is found
 */
export function detectExperts(
  moduleNames: readonly string[],
  sets: readonly ExpertSet[] = SHIPPED_EXPERT_SETS,
): ExpertSet | undefined {
  if (moduleNames.length === 0) return undefined;
  const fitting = sets.filter(({ experts }) => assignExperts(experts, moduleNames).unmatched.length === 0);
  return fitting.length === 1 ? fitting[0] : undefined;
}
