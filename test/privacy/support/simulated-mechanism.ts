/** What a client does to its vector, in plain TypeScript: conditional rounding, then noise from the table. */
import type { NoiseTable } from '../../../lib/privacy/noise-table.js';
import type { SeededRandom } from './seeded-random.js';

/** Stochastic rounding of x / scale, not conditioned. */
export function roundOnce(x: readonly number[], scale: number, random: SeededRandom): number[] {
  return x.map((value) => {
    const quanta = value / scale;
    const below = Math.floor(quanta);
    return below + (random.unit() < quanta - below ? 1 : 0);
  });
}

export function squaredNorm(v: readonly number[]): number {
  return v.reduce((sum, value) => sum + value * value, 0);
}

export function roundWithin(
  x: readonly number[],
  scale: number,
  l2Squared: number,
  random: SeededRandom,
): number[] {
  for (;;) {
    const v = roundOnce(x, scale, random);
    if (squaredNorm(v) <= l2Squared) return v;
  }
}

/** The documented rule: the number of thresholds <= u, with a sign, summed over the draws. */
export function drawNoise({ thresholds, draws }: NoiseTable, random: SeededRandom): number {
  let sum = 0;
  for (let draw = 0; draw < draws; draw += 1) {
    const u = random.bits63();
    let low = 0;
    let high = thresholds.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((thresholds[middle] ?? 0n) <= u) low = middle + 1;
      else high = middle;
    }
    sum += random.bit() ? low : -low;
  }
  return sum;
}
