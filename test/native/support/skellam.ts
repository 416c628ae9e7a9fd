/** Skellam noise from a seed, by inverting the distribution of its two Poisson parts. */
import { seededWords } from '../../support/oracle/seeded.js';

const WORD = 2 ** 32;

/** The cumulative distribution of Poisson(lambda) from its first value with a weight that counts. */
function cumulativePoisson(lambda: number): { readonly first: number; readonly cumulative: number[] } {
  const mode = Math.floor(lambda);
  const weights = [1];
  let first = mode;
  for (let weight = first / lambda; first > 0 && weight > 1e-15; weight *= first / lambda) {
    weights.unshift(weight);
    first -= 1;
  }
  let weight = 1;
  for (let k = mode + 1; weight > 1e-15; k += 1) {
    weight *= lambda / k;
    weights.push(weight);
  }
  const total = weights.reduce((sum, x) => sum + x, 0);
  let below = 0;
  const cumulative = weights.map((x) => {
    below += x / total;
    return below;
  });
  return { first, cumulative };
}

/** `count` values of the given variance. */
export function seededSkellam(seed: number, label: string, count: number, variance: number): Int32Array {
  const noise = new Int32Array(count);
  if (variance === 0) return noise;
  const { first, cumulative } = cumulativePoisson(variance / 2);
  const draw = (word: number): number => {
    const target = (word + 0.5) / WORD;
    let [low, high] = [0, cumulative.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((cumulative[middle] as number) < target) low = middle + 1;
      else high = middle;
    }
    return first + low;
  };
  const words = seededWords(seed, label, 2 * count, WORD);
  for (let i = 0; i < count; i += 1) {
    noise[i] = draw(words[2 * i] as number) - draw(words[2 * i + 1] as number);
  }
  return noise;
}
