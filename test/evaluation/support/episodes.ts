/** Episodes that a test makes up, where only what it says about them matters. */
import type { Episode } from '../../../lib/evaluation/episodes/episode.js';
import type { EpisodePair } from '../../../lib/evaluation/episodes/pairs.js';
import { presetPolicy } from '../../../lib/policy/presets.js';

export const SAFETY = presetPolicy('balanced').safety;

export function episode(fields: Partial<Episode> = {}): Episode {
  return { seed: 0, adapter: 'candidate', success: true, outOfDistribution: false, ...fields };
}

export interface PairFields {
  readonly candidate?: Partial<Episode>;
  readonly baseline?: Partial<Episode>;
  readonly outOfDistribution?: boolean;
}

/** `count` pairs with seeds from 0 on. */
export function pairs(count: number, fieldsOf: (i: number) => PairFields = () => ({})): EpisodePair[] {
  return Array.from({ length: count }, (_, i) => {
    const { candidate, baseline, outOfDistribution = false } = fieldsOf(i);
    return {
      candidate: episode({ seed: i, outOfDistribution, ...candidate }),
      baseline: episode({ seed: i, adapter: 'baseline', outOfDistribution, ...baseline }),
    };
  });
}

/** Pairs that meet every bound of the balanced policy: half of them outside of the training distribution. */
export function goodPairs(count: number, fieldsOf: (i: number) => PairFields = () => ({})): EpisodePair[] {
  return pairs(count, (i) => {
    const { candidate, baseline } = fieldsOf(i);
    return {
      outOfDistribution: i % 2 === 1,
      candidate: {
        constraintViolations: 0,
        collisions: 0,
        timeToCompleteSeconds: 4 + (i % 5) / 10,
        klDivergence: 0.05 + (i % 7) / 100,
        ...candidate,
      },
      baseline: { timeToCompleteSeconds: 4 + (i % 3) / 10, ...baseline },
    };
  });
}
