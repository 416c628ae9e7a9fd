/** Both adapters on the same seeds: nothing is compared that was not met by both. */
import { FormatError } from '../../errors.js';
import { ADAPTER_ROLES, type AdapterRole, type Episode, OPTIONAL_METRICS } from './episode.js';

export interface EpisodePair {
  readonly candidate: Episode;
  readonly baseline: Episode;
}

/**
 * Pairs episodes by task and seed, in the order of the candidate's.
 *
 * @param seeds those that were asked for, if any were: each has to occur once for each adapter, and no other may
 * @throws FormatError `evaluation.duplicate-seed`, `evaluation.unknown-seed`, `evaluation.missing-seed`,
 *   `evaluation.mismatched-pair`
 */
export function pairEpisodes(episodes: readonly Episode[], seeds?: readonly number[]): EpisodePair[] {
  const byRole: Record<AdapterRole, Map<string, Episode>> = { candidate: new Map(), baseline: new Map() };
  const asked = seeds === undefined ? undefined : new Set(seeds);
  for (const episode of episodes) {
    const name = nameOf(episode);
    if (asked !== undefined && !asked.has(episode.seed)) {
      throw new FormatError(
        'evaluation.unknown-seed',
        `The evaluator reports ${name} of the ${episode.adapter}, which it was not asked for. It has to run the seeds it is given.`,
      );
    }
    if (byRole[episode.adapter].has(name)) {
      throw new FormatError(
        'evaluation.duplicate-seed',
        `There are two episodes of the ${episode.adapter} with ${name}. Each seed counts once.`,
      );
    }
    byRole[episode.adapter].set(name, episode);
  }
  requireAllSeeds(byRole, seeds);
  return [...byRole.candidate].map(([name, candidate]) => {
    const baseline = byRole.baseline.get(name) as Episode;
    if (candidate.outOfDistribution !== baseline.outOfDistribution) {
      throw new FormatError(
        'evaluation.mismatched-pair',
        `With ${name} one adapter is said to be inside and the other outside of the training distribution: they did not ` +
          'meet the same. Make the seed alone decide what an episode is.',
      );
    }
    return { candidate, baseline };
  });
}

function requireAllSeeds(
  byRole: Readonly<Record<AdapterRole, ReadonlyMap<string, Episode>>>,
  seeds: readonly number[] | undefined,
): void {
  const names =
    seeds === undefined
      ? new Set([...byRole.candidate.keys(), ...byRole.baseline.keys()])
      : new Set(seeds.map((seed) => nameOf({ seed })));
  for (const role of ADAPTER_ROLES) {
    const missing = [...names].filter((name) => !byRole[role].has(name));
    if (missing.length === 0) continue;
    throw new FormatError(
      'evaluation.missing-seed',
      `The ${role} has no episode with ${missing[0]}${missing.length > 1 ? ` and ${missing.length - 1} more` : ''}. ` +
        'Both adapters have to run every seed: leaving out what failed would flatter them.',
    );
  }
}

function nameOf({ seed, task }: Pick<Episode, 'seed' | 'task'>): string {
  return task === undefined ? `seed ${seed}` : `seed ${seed} of task ${task}`;
}

/**
 * A metric that only some episodes have would be judged by those in which it was convenient to measure.
 *
 * @throws FormatError `evaluation.partial-metric`
 */
export function requireWholeMetrics(pairs: readonly EpisodePair[]): void {
  for (const role of ADAPTER_ROLES) {
    for (const metric of OPTIONAL_METRICS) {
      let relevant = 0;
      let reported = 0;
      for (const { [role]: episode } of pairs) {
        if (metric === 'timeToCompleteSeconds' && !episode.success) continue;
        relevant += 1;
        if (episode[metric] !== undefined) reported += 1;
      }
      if (reported === 0 || reported === relevant) continue;
      throw new FormatError(
        'evaluation.partial-metric',
        `${metric} is there for ${reported} of ${relevant} episodes of the ${role}. Report it for all of them, or for none.`,
      );
    }
  }
}
