/** Who does what in a round. */
import type { Robot } from './fleet.js';
import { CORRUPT, DROPOUTS, DUPLICATES, LATE } from './options.js';
import { SeededRandom } from './random.js';

export interface Cast {
  readonly dropouts: readonly Robot[];
  /** They send something that was damaged on its way, and nothing else. */
  readonly corrupt: readonly Robot[];
  /** They send after the round is sealed off. */
  readonly late: readonly Robot[];
  readonly onTime: readonly Robot[];
  /** Of those who are on time, those who send the same update twice. */
  readonly duplicates: readonly Robot[];
}

export function castRound(robots: readonly Robot[], seed: string, round: number): Cast {
  const shuffled = new SeededRandom(seed, 'cast', round).shuffled(robots);
  const count = (share: number): number => Math.max(1, Math.round(share * robots.length));
  const take = (share: number): Robot[] => shuffled.splice(0, count(share));
  const [dropouts, corrupt, late] = [take(DROPOUTS), take(CORRUPT), take(LATE)];
  return { dropouts, corrupt, late, onTime: shuffled, duplicates: shuffled.slice(0, count(DUPLICATES)) };
}
