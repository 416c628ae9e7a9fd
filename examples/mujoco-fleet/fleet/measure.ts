/** What rollouts say of a policy, with what their number allows to say. */
import type { Episode } from '../../../lib/evaluation/episodes/episode.js';
import { mcNemarExact, pairedDifferenceInterval } from '../../../lib/evaluation/statistics/paired-rates.js';
import { wilsonInterval } from '../../../lib/evaluation/statistics/rates.js';
import { evaluateEpisode, type ProvingGround } from '../evaluate.js';
import type { Network } from '../policy/network.js';

/** Of each limit: intervals are of 95 %. */
const LIMIT_ERROR = 0.025;

export interface Rate {
  readonly successes: number;
  readonly episodes: number;
  readonly rate: number;
  readonly lower: number;
  readonly upper: number;
}

export interface Measured {
  readonly training: Rate;
  readonly unseen: Rate;
  /** Means over all episodes. */
  readonly klDivergence: number;
  readonly constraintViolations: number;
  /** Of the episodes that succeeded; absent where none did. */
  readonly secondsToComplete?: number;
  readonly episodes: readonly Episode[];
}

export interface EpisodeCounts {
  /** A release, at the fleet's own sites together. */
  readonly training: number;
  /** A release, at the sites that nobody trained at together. */
  readonly unseen: number;
}

/** The same for every arm and round, so that differences are of policies and not of luck. */
export function episodeSeeds({ training, unseen }: EpisodeCounts): number[] {
  return [
    ...Array.from({ length: training }, (_, i) => 2 * i),
    ...Array.from({ length: unseen }, (_, i) => 2 * i + 1),
  ];
}

/** @param policyFor the policy that runs an episode: the same one for all, or each robot's own */
export async function measure(
  ground: ProvingGround,
  policyFor: (seed: number) => Network,
  reference: (seed: number) => Network,
  seeds: readonly number[],
): Promise<Measured> {
  const episodes: Episode[] = [];
  for (const seed of seeds) {
    const policies = { policy: policyFor(seed), reference: reference(seed) };
    episodes.push(await evaluateEpisode(ground, 'candidate', policies, seed));
  }
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
  const successes = episodes.filter(({ success }) => success);
  return {
    training: rateOf(episodes.filter(({ outOfDistribution }) => !outOfDistribution)),
    unseen: rateOf(episodes.filter(({ outOfDistribution }) => outOfDistribution)),
    klDivergence: mean(episodes.map(({ klDivergence }) => klDivergence as number)),
    constraintViolations: mean(episodes.map(({ constraintViolations }) => constraintViolations as number)),
    ...(successes.length > 0 && {
      secondsToComplete: mean(successes.map((episode) => episode.timeToCompleteSeconds as number)),
    }),
    episodes,
  };
}

/** Success alone, of one policy in all of these episodes. */
export async function successOf(
  ground: ProvingGround,
  policy: Network,
  seeds: readonly number[],
): Promise<Rate> {
  const episodes: Episode[] = [];
  for (const seed of seeds) {
    episodes.push(await evaluateEpisode(ground, 'candidate', { policy, reference: policy }, seed));
  }
  return rateOf(episodes);
}

export type Summary = Omit<Measured, 'episodes'>;

export function summaryOf({ episodes: _, ...summary }: Measured): Summary {
  return summary;
}

export function rateOf(episodes: readonly Pick<Episode, 'success'>[]): Rate {
  const successes = episodes.filter(({ success }) => success).length;
  const { lower, upper } = wilsonInterval(successes, episodes.length, LIMIT_ERROR);
  return { successes, episodes: episodes.length, rate: successes / episodes.length, lower, upper };
}

export interface Difference {
  readonly first: string;
  readonly second: string;
  /** Of the first less the second, on the same episodes at sites that nobody trained at. */
  readonly difference: number;
  readonly lower: number;
  readonly upper: number;
  readonly pairs: number;
  /** McNemar's exact test. */
  readonly p: number;
  /** Sites at which the first, or the second, succeeded more often. */
  readonly sitesFirstBetter: number;
  readonly sitesSecondBetter: number;
}

/** Pairs by seed: both arms met the same episodes. */
export function compareUnseen(
  ground: ProvingGround,
  first: { readonly name: string; readonly measured: Measured },
  second: { readonly name: string; readonly measured: Measured },
): Difference {
  const others = new Map(second.measured.episodes.map((episode) => [episode.seed, episode.success]));
  let onlyFirst = 0;
  let onlySecond = 0;
  let pairs = 0;
  const bySite = new Map<string, number>();
  for (const { seed, success, outOfDistribution } of first.measured.episodes) {
    if (!outOfDistribution) continue;
    const gain = Number(success) - Number(others.get(seed) as boolean);
    onlyFirst += gain === 1 ? 1 : 0;
    onlySecond += gain === -1 ? 1 : 0;
    pairs += 1;
    const { name } = ground.placeOf(seed).site;
    bySite.set(name, (bySite.get(name) ?? 0) + gain);
  }
  const counts = { onlyFirst, onlySecond, pairs };
  const gains = [...bySite.values()];
  return {
    first: first.name,
    second: second.name,
    difference: (onlyFirst - onlySecond) / pairs,
    ...pairedDifferenceInterval(counts, LIMIT_ERROR),
    pairs,
    p: mcNemarExact(counts),
    sitesFirstBetter: gains.filter((gain) => gain > 0).length,
    sitesSecondBetter: gains.filter((gain) => gain < 0).length,
  };
}

export interface CurveDifference extends Difference {
  /** Rounds at which the interval of the difference does not hold 0. */
  readonly roundsApart: number;
  readonly rounds: number;
}

interface NamedRounds {
  readonly name: string;
  readonly rounds: readonly Measured[];
}

/** After the last round, and how often they were apart before. */
export function compareCurves(
  ground: ProvingGround,
  first: NamedRounds,
  second: NamedRounds,
): CurveDifference {
  const differences = first.rounds.map((measured, i) =>
    compareUnseen(
      ground,
      { name: first.name, measured },
      { name: second.name, measured: second.rounds[i] as Measured },
    ),
  );
  return {
    ...(differences.at(-1) as Difference),
    roundsApart: differences.filter(({ lower, upper }) => lower > 0 || upper < 0).length,
    rounds: differences.length,
  };
}
