/**
 * How often an evaluation may be looked at. Every look is another chance to pass by luck, so the looks are planned before the
 * first episode, and share the error that the policy allows.
 */
import { ParameterError } from '../../errors.js';

export interface LookPlan {
  /** Episodes of each adapter after each look, ascending. */
  readonly episodes: readonly number[];
  /**
   * Error probability of every limit at every look: Bonferroni, the policy's error divided by the number of looks. It holds
   * whatever the looks have in common, which is nearly everything: each contains the ones before.
   */
  readonly limitError: number;
}

/**
 * Looks after `firstEpisodes`, twice as many, four times as many, and so on up to `maxEpisodes`. The last one takes what is
 * left, so that it may be up to four times the one before.
 *
 * @param confidence in (0.5, 1)
 * @throws ParameterError `evaluation.episode-limit` if `firstEpisodes` is above `maxEpisodes`
 */
export function planLooks(firstEpisodes: number, maxEpisodes: number, confidence: number): LookPlan {
  if (firstEpisodes > maxEpisodes) {
    throw new ParameterError(
      'evaluation.episode-limit',
      `${firstEpisodes} episodes are more than safety.maxEpisodes, ${maxEpisodes}. Ask for fewer, or raise the limit.`,
    );
  }
  const episodes = [firstEpisodes];
  while ((episodes.at(-1) as number) * 2 <= maxEpisodes) episodes.push((episodes.at(-1) as number) * 2);
  if (episodes.length > 1) episodes[episodes.length - 1] = maxEpisodes;
  return { episodes, limitError: (1 - confidence) / episodes.length };
}

/** The plan of an evaluation that is looked at once: all of its episodes are there already. */
export function singleLook(episodes: number, confidence: number): LookPlan {
  return { episodes: [episodes], limitError: 1 - confidence };
}
