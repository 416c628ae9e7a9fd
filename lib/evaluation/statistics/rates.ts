/** Limits of a rate from so many successes in so many independent episodes. */
import { betaQuantile } from './beta.js';
import { type Interval, requireLimitError } from './interval.js';
import { normalUpperQuantile } from './normal.js';

/**
 * The exact limits of Clopper and Pearson (Biometrika 26, 1934): whatever the true rate, each limit is wrong with at most
 * `limitError`, for every number of episodes. Decisions use these.
 *
 * @param successes integer in [0, episodes]
 * @param episodes integer, at least 1
 * @param limitError error probability of each limit, in (0, 0.5)
 */
export function exactRateInterval(successes: number, episodes: number, limitError: number): Interval {
  requireLimitError(limitError);
  const failures = episodes - successes;
  return {
    lower: successes === 0 ? 0 : betaQuantile(successes, failures + 1, limitError),
    upper: failures === 0 ? 1 : betaQuantile(successes + 1, failures, 1 - limitError),
  };
}

/**
 * Wilson's score interval (JASA 22, 1927). Shorter than the exact one and right on average, but not at every rate: near 0
 * and 1 a limit may be wrong three times as often as `limitError`. For plots and tables, not for decisions.
 *
 * @param successes integer in [0, episodes]
 * @param episodes integer, at least 1
 * @param limitError error probability of each limit, in (0, 0.5)
 */
export function wilsonInterval(successes: number, episodes: number, limitError: number): Interval {
  requireLimitError(limitError);
  const z = normalUpperQuantile(limitError);
  const rate = successes / episodes;
  const denominator = 1 + (z * z) / episodes;
  const centre = (rate + (z * z) / (2 * episodes)) / denominator;
  const half =
    (z / denominator) * Math.sqrt((rate * (1 - rate)) / episodes + (z * z) / (4 * episodes * episodes));
  return {
    lower: successes === 0 ? 0 : Math.max(0, centre - half),
    upper: successes === episodes ? 1 : Math.min(1, centre + half),
  };
}
